"""KNN beyond the contract: leave-one-out scores, the aggregations, reasons, its errors, and real data."""

import copy
import gc
import pickle

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from odkit import KNN, model_file, neighbor_search
from odkit.kernels.cpu import neighbors
from tests import naive
from tests.devices import TWINS


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


@pytest.mark.parametrize("device", TWINS)
def test_torch_gives_the_same_scores(rows, device):
    for X in (rows, rows.astype(np.float32), (rows * [1, 1e3, 1] + 1e4).astype(np.float32)):
        cpu, torch = KNN(4).fit(X), KNN(4, device=device).fit(X)
        np.testing.assert_allclose(torch.score_samples(rows), cpu.score_samples(rows), rtol=1e-12)
        np.testing.assert_allclose(torch.explain(rows[:9]), cpu.explain(rows[:9]), rtol=1e-9)
    with pytest.raises(ValueError, match="Euclidean metric only, metric='cosine'"):
        KNN(metric="cosine", device=device).fit(rows)
    with pytest.raises(ValueError, match="Euclidean metric only, metric='cosine'"):
        KNN(metric="cosine").fit(rows).set_params(device=device).score_samples(rows)


def _far_tables():
    rng = np.random.default_rng(3)
    corrupt, apart = rng.normal(size=(400, 20)), rng.normal(size=(400, 20))
    corrupt[17, 3] = 1e12
    apart[200:] += 1e8
    return {"one corrupt cell": corrupt, "two clusters far apart": apart}


@pytest.mark.parametrize("case", _far_tables())
@pytest.mark.parametrize("algorithm", ["auto", "brute", "ball_tree", "kd_tree"])
def test_answers_are_exact_however_far_rows_lie_apart(case, algorithm):
    X = _far_tables()[case]
    expected = [np.sort(np.sqrt(((X - x) ** 2).sum(axis=1)))[5] for x in X]
    np.testing.assert_allclose(-KNN(algorithm=algorithm).fit(X).score_samples(X), expected, rtol=1e-12)


def test_auto_takes_a_tree_where_products_do_not_resolve(monkeypatch):
    tried = []
    by_differences = neighbors._by_differences
    monkeypatch.setattr(
        neighbors, "_by_differences", lambda *given: tried.append(len(given[0])) or by_differences(*given)
    )
    for X in _far_tables().values():
        KNN().fit(X)
    assert sum(tried) <= 1


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("parameters", [{}, {"metric": "manhattan"}, {"p": 3}, {"algorithm": "brute"}], ids=str)
def test_numbers_of_any_size_are_flagged_alike(unit, parameters):
    rows = np.random.default_rng(0).normal(size=(100, 3))
    unit = 2.0 ** int(np.log2(unit))
    plain, scaled = KNN(**parameters).fit(rows), KNN(**parameters).fit(rows * unit)
    np.testing.assert_array_equal(scaled.predict(rows * unit), plain.predict(rows))
    np.testing.assert_allclose(scaled.score_samples(rows * unit) / unit, plain.score_samples(rows), rtol=1e-12)


@pytest.mark.parametrize(
    "later",
    [{"metric": "manhattan"}, {"p": 1}, {"n_neighbors": 2}, {"aggregation": "mean"}, {"metric_params": {"w": 1}}],
)
def test_parameters_set_after_the_fit_move_no_score(rows, later):
    detector = KNN().fit(rows)
    expected = detector.score_samples(rows)
    for step in (lambda d: d, lambda d: d.set_params(**later), lambda d: pickle.loads(pickle.dumps(d))):
        detector = step(detector)
        np.testing.assert_array_equal(detector.score_samples(rows), expected)
        np.testing.assert_allclose(detector.explain(rows).sum(axis=1), -expected)


def test_speed_parameters_set_after_the_fit_are_heard(rows):
    detector = KNN().fit(rows)
    expected = detector.score_samples(rows)
    for later in ({"algorithm": "brute"}, {"leaf_size": 2}, {"n_jobs": 2}):
        np.testing.assert_allclose(detector.set_params(**later).score_samples(rows), expected, rtol=1e-12)
    chosen = {search.structure.algorithm for search in neighbor_search._searches.values()}
    assert {"kd_tree", "brute"} <= chosen


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_rows_beyond_the_dtype_and_far_away_have_scores_and_reasons(rows, metric):
    for fitted, far in ((rows.astype(np.float32), 1e39), (rows, 1e39), (rows, 1e200)):
        detector = KNN(metric=metric).fit(fitted)
        X = np.full((2, 3), far)
        assert -detector.score_samples(X) == pytest.approx([far * (3 if metric == "manhattan" else 3**0.5)] * 2)
        if metric == "euclidean":
            np.testing.assert_allclose(detector.explain(X), far / 3**0.5)


def test_the_model_is_plain_numpy_and_rebuilds_its_tree(rows):
    detector = KNN(4).fit(rows)
    expected = detector.score_samples(rows)
    fitted = {name for name in vars(detector) if name.endswith("_")}
    kept = {"n_neighbors_", "aggregation_", "metric_", "p_", "metric_params_"}
    assert fitted == {"rows_", "offset_", "n_features_in_"} | kept
    revived = KNN(4)
    vars(revived).update(rows_=detector.rows_.copy(), offset_=detector.offset_, n_features_in_=3)
    revived._check_state()  # as the first model files were, without the parameters of the fit
    np.testing.assert_array_equal(revived.score_samples(rows), expected)


def test_trees_go_with_their_models(rows):
    gc.collect()
    before = len(neighbor_search._searches)
    detector = KNN().fit(rows)
    twins = [copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    for twin in twins:
        twin.score_samples(rows)
    assert len(neighbor_search._searches) == before + 3
    del detector, twin, twins
    gc.collect()
    assert len(neighbor_search._searches) == before


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


def test_distances_too_large_for_numbers_are_refused():
    X = np.random.default_rng(0).normal(size=(50, 40))
    X *= 1.7e308 / np.abs(X).max(axis=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="KNN: the training scores give the threshold"):
        KNN().fit(X)
