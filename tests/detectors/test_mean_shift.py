"""MeanShift: the worked example, identities, equivariance, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit import MeanShift, anomaly_score
from tests.devices import TWINS

HAND = np.array([[0.0], [1.0], [3.0], [10.0]])


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.vstack([rng.normal(size=(150, 4)), rng.normal(size=(8, 4)) * 5]) * [1, 3, 0.1, 1] + [0, 10, 0, -5]


def test_the_hand_worked_example():
    detector = MeanShift(n_neighbors=2, scaling=None).fit(HAND)
    assert detector.references_[:, :, 0].tolist() == [[0, 1, 3, 10], [0.5, 0.5, 2, 6.5], [0.5, 0.5, 1.25, 4.25]]
    assert anomaly_score(detector, HAND).tolist() == [0.5, 0.5, 2.125, 7.25]
    assert detector.transform([[5], [10], [20]]).ravel().tolist() == [0.875, 2.75, 2.75]
    assert anomaly_score(detector, [[5], [10], [20]]).tolist() == [4.125, 7.25, 17.25]
    distance = anomaly_score(detector, HAND)
    assert distance.std() == pytest.approx(2.768933, abs=1e-6)
    assert (distance > distance.std()).tolist() == [False, False, False, True]


@pytest.mark.parametrize("statistic", ["mean", "medoid"])
@pytest.mark.parametrize("scaling", ["standard", "robust", None])
def test_a_training_row_scores_what_it_scored_in_the_fit(X, statistic, scaling):
    detector = MeanShift(n_neighbors=7, statistic=statistic, scaling=scaling)
    trained = -detector._fit_score(X)
    np.testing.assert_array_equal(anomaly_score(detector.fit(X), X), trained)


@pytest.mark.parametrize("statistic", ["mean", "medoid"])
def test_one_neighbour_stays_and_all_neighbours_meet(X, statistic):
    stay = MeanShift(n_neighbors=1, statistic=statistic, scaling=None).fit(X)
    np.testing.assert_array_equal(stay.transform(X), X)
    assert not anomaly_score(stay, X).any()
    assert not stay.explain(X).any()
    meet = MeanShift(n_neighbors=len(X), n_passes=2, statistic=statistic, scaling=None).fit(X)
    assert len(np.unique(meet.transform(X), axis=0)) == 1
    if statistic == "mean":
        np.testing.assert_allclose(meet.transform(X)[0], X.mean(axis=0), rtol=1e-12)
    else:
        cost = np.abs(X[:, None] - X[None]).sum(axis=(1, 2))
        np.testing.assert_array_equal(meet.transform(X)[0], X[cost.argmin()])


def test_more_neighbours_than_rows_are_cut():
    assert MeanShift(n_neighbors=20).fit(HAND).n_neighbors_ == 4
    np.testing.assert_array_equal(
        MeanShift(n_neighbors=20).fit(HAND).score_samples(HAND), MeanShift(n_neighbors=4).fit(HAND).score_samples(HAND)
    )
    assert MeanShift().fit([[1.0, 2.0]]).score_samples([[1.0, 2.0]]) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(2, 9))
def test_rotation_translation_and_order(seed, n_passes, k):
    rng = np.random.default_rng(seed)
    X, Q = rng.normal(size=(40, 3)), rng.normal(size=(9, 3)) * 2
    settings = {"n_neighbors": k, "n_passes": n_passes, "scaling": None}
    expected = anomaly_score(MeanShift(**settings).fit(X), Q)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = anomaly_score(MeanShift(**settings).fit(X @ rotation + 5), Q @ rotation + 5)
    np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-12)
    order = rng.permutation(40)
    shuffled = anomaly_score(MeanShift(**settings).fit(X[order]), Q)
    np.testing.assert_allclose(shuffled, expected, rtol=1e-9, atol=1e-12)


def test_scaling_makes_units_irrelevant(X):
    expected = MeanShift().fit(X).score_samples(X)
    scaled = X * [1e6, 1, 1e-6, 7] + 3
    np.testing.assert_allclose(MeanShift().fit(scaled).score_samples(scaled), expected, rtol=1e-7)
    np.testing.assert_allclose(
        MeanShift().fit(scaled).transform(scaled), (MeanShift().fit(X).transform(X)) * [1e6, 1, 1e-6, 7] + 3, rtol=1e-7
    )


def test_duplicates_and_constant_columns(X):
    rows = np.repeat(np.column_stack([X, np.full(len(X), 3.0)])[:20], 5, axis=0)
    detector = MeanShift(n_neighbors=5).fit(rows)
    np.testing.assert_allclose(anomaly_score(detector, rows), 0, atol=1e-14)
    moved = rows[:1] + 0.25 * np.eye(5)[4]
    np.testing.assert_allclose(anomaly_score(detector, moved), 0.25)
    np.testing.assert_allclose(detector.explain(moved), [[0, 0, 0, 0, 0.25]], atol=1e-14)


def test_explanations_sum_to_the_distance(X):
    detector = MeanShift().fit(X)
    parts = detector.explain(X)
    np.testing.assert_allclose(parts.sum(axis=1), anomaly_score(detector, X), rtol=1e-12)
    assert (parts >= 0).all()
    np.testing.assert_array_equal(detector.expected(X), detector.transform(X))


@pytest.mark.parametrize("device", TWINS)
def test_the_devices_and_threads_agree(X, device):
    for statistic in ("mean", "medoid"):
        cpu = MeanShift(statistic=statistic).fit(X)
        np.testing.assert_array_equal(
            MeanShift(statistic=statistic, n_jobs=2).fit(X).score_samples(X), cpu.score_samples(X)
        )
        torch = MeanShift(statistic=statistic, device=device).fit(X)
        np.testing.assert_allclose(torch.references_, cpu.references_, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(torch.score_samples(X), cpu.score_samples(X), rtol=1e-9, atol=1e-12)


def test_a_state_that_compiled_code_must_not_meet_is_refused(X):
    detector = MeanShift(n_neighbors=5).fit(X)
    detector._check_state()
    for name, value in (
        ("n_neighbors_", 159), ("n_neighbors_", 0), ("n_neighbors_", 2.5), ("n_neighbors_", None),
        ("references_", detector.references_[:, :, :3]),
        ("references_", detector.references_[0]), ("references_", detector.references_[:, :3]),
        ("references_", detector.references_.astype(np.float32)), ("statistic_", "mode"), ("self_counted_", None),
        ("scale_", detector.scale_ * 0), ("location_", detector.location_[:2]),
    ):  # fmt: skip
        spoiled = MeanShift(n_neighbors=5).fit(X)
        setattr(spoiled, name, value)
        with pytest.raises(ValueError, match="do not fit"):
            spoiled._check_state()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_neighbors": 0}, {"n_passes": 0}, {"statistic": "mode"}, {"scaling": "minmax"}, {"contamination": 0.6},
        {"n_jobs": 0},
    ],
)  # fmt: skip
def test_wrong_parameters_are_named_with_their_value(X, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"'{name}'.*{value}"):
        MeanShift(**wrong).fit(X)


# --- the row itself left out


def others(queries, rows, k, statistic):
    """By loops: of k + 1 neighbours one that equals the query is passed over, or else the last by (distance, row)."""
    out = []
    for query in queries:
        order = sorted(range(len(rows)), key=lambda i: (((rows[i] - query) ** 2).sum(), i))[: k + 1]
        equal = [i for i in sorted(order) if (rows[i] == query).all()]
        order.remove(equal[0] if equal else order[-1])
        near = rows[sorted(order)]
        cost = np.abs(near[:, None] - near[None]).sum(axis=(1, 2))
        out.append(near.mean(axis=0) if statistic == "mean" else near[cost.argmin()])
    return np.array(out)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("statistic", ["mean", "medoid"])
def test_without_itself_a_row_moves_to_the_others(X, statistic, device):
    if device == "torch":
        pytest.importorskip("torch")
    rows = np.vstack([X, X[:3]])  # three of them twice
    queries = np.vstack([rows[::5], rows[:7] + 0.1])
    detector = MeanShift(
        n_neighbors=6, n_passes=2, statistic=statistic, self_counted=False, scaling=None, device=device
    ).fit(rows)
    first, second = others(rows, rows, 6, statistic), others(queries, rows, 6, statistic)
    np.testing.assert_allclose(detector.references_[1], first, rtol=1e-12)
    np.testing.assert_allclose(detector.transform(queries), others(second, first, 6, statistic), rtol=1e-12)


def test_without_itself_the_hand_worked_example():
    detector = MeanShift(n_neighbors=1, n_passes=1, self_counted=False, scaling=None).fit(HAND)
    assert detector.transform(HAND).ravel().tolist() == [1, 0, 1, 3]  # to the nearest other
    assert detector.transform([[4], [12]]).ravel().tolist() == [3, 10]  # a new row has no copy to pass over
    with pytest.raises(ValueError, match=r"MeanShift: n_samples = 1, but self_counted=False needs at least 2"):
        MeanShift(self_counted=False).fit(HAND[:1])
    assert MeanShift(self_counted=False).fit(HAND).n_neighbors_ == 3


@pytest.mark.parametrize("statistic", ["mean", "medoid"])
def test_without_itself_a_training_row_scores_what_it_scored_in_the_fit(X, statistic):
    rows = np.vstack([X, X[:40]]).round(1)
    detector = MeanShift(n_neighbors=7, statistic=statistic, self_counted=False)
    trained = -detector._fit_score(rows)
    np.testing.assert_array_equal(anomaly_score(detector.fit(rows), rows), trained)


@pytest.mark.parametrize("changed", [{"statistic": "medoid"}, {"self_counted": False}, {"n_neighbors": 3}])
def test_parameters_set_after_the_fit_are_those_of_the_next_one(X, changed):
    detector = MeanShift().fit(X)
    scores = detector.score_samples(X)
    detector.set_params(**changed)
    np.testing.assert_array_equal(detector.score_samples(X), scores)


def test_a_state_of_before_the_rule_was_kept_goes_by_the_parameter(X):
    detector = MeanShift(statistic="medoid").fit(X)
    scores = detector.score_samples(X)
    del detector.statistic_, detector.self_counted_
    detector._check_state()
    np.testing.assert_array_equal(detector.score_samples(X), scores)


# --- huge and tiny numbers


@pytest.mark.parametrize("d", [4, 20])
def test_a_huge_row_changes_no_other_and_is_an_outlier(d):
    X = np.random.default_rng(0).normal(size=(600, d))
    detector = MeanShift(n_neighbors=5).fit(X)
    for huge in (1e22, 1e200, 1e308):
        queries = X[:100] + 0.1
        queries[7, 3] = huge
        together = detector.score_samples(queries)
        np.testing.assert_array_equal(np.delete(together, 7), detector.score_samples(np.delete(queries, 7, axis=0)))
        assert together[7] < detector.offset_


@pytest.mark.parametrize("factor", [1e200, 1.7e308])
def test_training_rows_whose_distances_overflow_are_refused_without_noise(factor):
    X = np.random.default_rng(0).uniform(-1, 1, size=(30, 20)) * factor
    with pytest.raises(ValueError, match=r"MeanShift: distances between training rows overflow .* scaling=None"):
        MeanShift(scaling=None, n_neighbors=30).fit(X)
    assert np.isfinite(MeanShift().fit(X * 0.1).score_samples(X * 0.1)).all()


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_rows_far_out_are_ever_more_anomalous_and_explained(device):
    if device == "torch":
        pytest.importorskip("torch")
    X = np.random.default_rng(0).normal(size=(200, 4))
    detector = MeanShift(device=device).fit(X)
    far = np.ones(4) * np.array([[1e20], [1e150], [1e160], [1e300]])
    scores = anomaly_score(detector, far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    np.testing.assert_allclose(detector.explain(far).sum(axis=1), scores, rtol=1e-12)
    beyond = X[:1] * 1e-5
    beyond[0, 2] = 1e308  # infinite in scaled units
    detector = MeanShift(device=device).fit(X * 1e-5)
    assert detector.score_samples(beyond) == -np.inf
    assert np.isinf(detector.explain(beyond)[0]).tolist() == [False, False, True, False]


# --- real data: deterministic anchors


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [("4_breastw", 0.959), ("14_glass", 0.873), ("40_vowels", 0.963), ("6_cardio", 0.721), ("24_mnist", 0.808)],
)
def test_anchors(data_home, name, expected):
    from sklearn.metrics import roc_auc_score

    with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as file:
        X, y = file["X"].astype(float), file["y"]
    detector = MeanShift()
    assert roc_auc_score(y, -detector._fit_score(X)) == pytest.approx(expected, abs=0.002)
