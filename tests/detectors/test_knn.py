"""KNN beyond the contract: leave-one-out scores, the aggregations, reasons, its errors, and real data."""

import copy
import gc
import pickle

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from odkit import KNN, model_file
from odkit.detectors import knn
from tests import naive


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(5).normal(size=(80, 3))


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
@pytest.mark.parametrize(
    ("aggregation", "reduce"), [("kth", lambda d: d[:, -1]), ("mean", np.mean), ("median", np.median)]
)
@pytest.mark.parametrize("k", [1, 4, 5])
def test_training_scores_leave_one_out(rows, algorithm, aggregation, reduce, k):
    detector = KNN(k, aggregation=aggregation, algorithm=algorithm).fit(rows)
    expected = [
        reduce(NearestNeighbors(n_neighbors=k).fit(np.delete(rows, i, axis=0)).kneighbors(rows[[i]])[0][[0]], **axis)
        for i in range(len(rows))
        for axis in ([{}] if aggregation == "kth" else [{"axis": 1}])
    ]
    np.testing.assert_allclose(-detector.score_samples(rows), np.ravel(expected), rtol=1e-12)


def test_one_copy_does_not_vouch_and_a_second_does():
    X = np.array([[0.0], [1.0], [1.0], [5.0]])
    detector = KNN(1, contamination=0.25).fit(X)
    np.testing.assert_array_equal(-detector.score_samples(X), [1, 0, 0, 4])
    np.testing.assert_array_equal(-detector.score_samples([[0.5], [5.0], [6.0]]), [0.5, 4, 1])
    np.testing.assert_array_equal(detector.predict(X), [1, 1, 1, -1])


@pytest.mark.parametrize("metric", ["manhattan", "chebyshev", "cosine", lambda a, b: np.abs(a - b).sum()])
def test_other_metrics_leave_the_copy_out(rows, metric):
    detector = KNN(3, metric=metric).fit(rows)
    expected = NearestNeighbors(n_neighbors=4, metric=metric).fit(rows).kneighbors(rows)[0][:, -1]
    np.testing.assert_allclose(-detector.score_samples(rows), expected, rtol=1e-10)
    assert not hasattr(detector, "explain")


def test_minkowski_is_passed_on(rows):
    ours = KNN(2, p=3, metric_params={"w": np.array([1.0, 2.0, 0.5])}).fit(rows)
    peer = NearestNeighbors(n_neighbors=3, p=3, metric_params={"w": np.array([1.0, 2.0, 0.5])}).fit(rows)
    np.testing.assert_allclose(-ours.score_samples(rows), peer.kneighbors(rows)[0][:, -1], rtol=1e-12)


@pytest.mark.parametrize("aggregation", ["kth", "mean", "median"])
@pytest.mark.parametrize("k", [1, 4, 5])
def test_reasons_add_up(rows, aggregation, k):
    detector = KNN(k, aggregation=aggregation).fit(rows)
    X = np.vstack([rows[:5], rows[:5] + np.array([3.0, 0, 0])])
    parts = detector.explain(X)
    np.testing.assert_allclose(parts.sum(axis=1), -detector.score_samples(X), rtol=1e-12)
    assert (parts >= 0).all()
    assert (parts[5:].argmax(axis=1) == 0).mean() > 0.5
    shares = naive.distance_parts(X, rows, k)
    if aggregation == "mean":
        np.testing.assert_allclose(parts, shares, rtol=1e-10)
    scale = -detector.score_samples(X) / shares.sum(axis=1)
    np.testing.assert_allclose(parts, shares * scale[:, None], rtol=1e-10)


def test_expected_is_the_neighbours_mean(rows):
    expected = KNN(4, aggregation="kth").fit(rows).expected(rows[:6])
    _, index = naive.neighbor_distances(rows[:6], rows, 4)
    np.testing.assert_allclose(expected, rows[index].mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("spoil", [lambda X: X[:, :2], lambda X: X[:5], lambda X: X * np.nan, lambda X: X.astype(int)])
def test_a_stored_state_is_checked(rows, spoil, tmp_path):
    detector = KNN().fit(rows)
    model_file.save(detector, tmp_path / "knn.odkit")
    np.testing.assert_array_equal(
        model_file.load(tmp_path / "knn.odkit").score_samples(rows), detector.score_samples(rows)
    )
    detector.rows_ = spoil(rows)
    model_file.save(detector, tmp_path / "bad.odkit")
    with pytest.raises(model_file.ModelFileError, match="KNN: rows_"):
        model_file.load(tmp_path / "bad.odkit")


def test_small_distances_survive_a_far_origin():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20)) + 1e8  # an epoch in seconds: |x|^2 has no digit left for a distance of 1
    scores = KNN(3, algorithm="brute").fit(X).score_samples(X)
    np.testing.assert_allclose(-scores, naive.neighbor_distances(X, X, 3)[0][:, -1], rtol=1e-12)


def test_torch_gives_the_same_scores(rows):
    pytest.importorskip("torch")
    for X in (rows, rows.astype(np.float32)):
        cpu, torch = KNN(4).fit(X), KNN(4, device="torch").fit(X)
        np.testing.assert_allclose(
            torch.score_samples(rows), cpu.score_samples(rows), rtol=1e-5 if X is not rows else 1e-12
        )
        np.testing.assert_allclose(torch.explain(rows[:9]), cpu.explain(rows[:9]), rtol=1e-3, atol=1e-6)
    with pytest.raises(ValueError, match="Euclidean metric only, metric='cosine'"):
        KNN(metric="cosine", device="torch").fit(rows)


def test_the_model_is_plain_numpy_and_rebuilds_its_tree(rows):
    detector = KNN(4).fit(rows)
    expected = detector.score_samples(rows)
    fitted = {name for name in vars(detector) if name.endswith("_")}
    assert fitted == {"rows_", "offset_", "n_features_in_"}
    revived = KNN(4)
    vars(revived).update(rows_=detector.rows_.copy(), offset_=detector.offset_, n_features_in_=3)
    np.testing.assert_array_equal(revived.score_samples(rows), expected)


def test_trees_go_with_their_models(rows):
    gc.collect()
    before = len(knn._searches)
    detector = KNN().fit(rows)
    twins = [copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    for twin in twins:
        twin.score_samples(rows)
    assert len(knn._searches) == before + 3
    del detector, twin, twins
    gc.collect()
    assert len(knn._searches) == before


def test_the_fit_keeps_its_own_rows(rows):
    X = rows.copy()
    detector = KNN().fit(X)
    expected = detector.score_samples(rows)
    X += 100
    np.testing.assert_array_equal(detector.score_samples(rows), expected)


@pytest.mark.parametrize(
    ("parameters", "n", "message"),
    [
        ({"n_neighbors": 5}, 5, r"KNN: too few training rows, n_samples=5 with n_neighbors=5.*lower n_neighbors"),
        ({"n_neighbors": 0}, 9, "n_neighbors"),
        ({"aggregation": "max"}, 9, "aggregation"),
        ({"metric": "precomputed"}, 9, "metric"),
        ({"device": "abacus"}, 9, "abacus"),
    ],
)
def test_errors_say_what_to_do(rows, parameters, n, message):
    with pytest.raises((ValueError, RuntimeError), match=message):
        KNN(**parameters).fit(rows[:n])


def test_outliers_rank_above_a_sparse_cluster():
    X, _ = make_blobs([150, 50], centers=[[0, 0], [12, 0]], cluster_std=[0.5, 1.5], random_state=0)
    lonely = np.array([[6.0, 0.0], [0.0, 8.0]])
    detector = KNN(aggregation="mean").fit(np.vstack([X, lonely]))
    assert detector.score_samples(lonely).max() < detector.score_samples(X).min()


@pytest.mark.data
def test_macrodata_anchor(data_home):
    """Mean over 123 one-class sets, z-scored on the training rows: .7572 / .4858 where copies vouch."""
    figures = []
    for path in sorted((data_home / "tabular" / "macrodata").glob("*/*.npz")):
        with np.load(path) as data:
            train, test, truth = data["train"].astype(float), data["test"].astype(float), data["test_labels"] == 1
        scale = train.std(axis=0)
        scale[scale == 0] = 1
        test = (test - train.mean(axis=0)) / scale
        scores = -KNN().fit((train - train.mean(axis=0)) / scale).score_samples(test)
        figures.append((roc_auc_score(truth, scores), average_precision_score(truth, scores)))
    assert len(figures) == 123
    np.testing.assert_allclose(np.mean(figures, axis=0), [0.7571, 0.4857], atol=2e-4)


def test_numbers_too_large_for_distances_are_refused():
    X = np.random.default_rng(0).normal(size=(50, 2)) * 1e300
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="KNN: the training scores give the threshold"):
        KNN().fit(X)
