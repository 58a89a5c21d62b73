"""ECOD: golden values, PyOD's training scores, the anchors on real data, and its properties."""

import copy
import itertools
import os
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from odkit import ECOD, model_file
from tests import naive
from tests.devices import TWINS

ROWS = np.array([(1, 2), (2, 2), (2, 5), (3, 1), (10, 4)], float)
NEW = [(11, 2), (2, 3), (0, 9), (1e6, 5)]


@pytest.mark.parametrize(
    ("aggregation", "train", "new", "new_tail"),
    [  # computed by hand from the definition; also in the specification of the method
        (
            "feature_max",
            [2.120264, 1.021651, 2.120264, 2.525729, 2.525729],
            [2.120264, 1.427116, 3.218876, 3.218876],
            [2.427956, 1.427116, 5.121654, 53.218876],
        ),
        (
            "paper",
            [2.120264, 1.021651, 1.832581, 1.832581, 2.525729],
            [1.832581, 1.139434, 1.609438, 3.218876],
            [2.140274, 1.139434, 3.387216, 53.218876],
        ),
    ],
)
def test_golden_rows(aggregation, train, new, new_tail):
    plain = ECOD(aggregation=aggregation, tail=None).fit(ROWS)
    tailed = ECOD(aggregation=aggregation).fit(ROWS)
    np.testing.assert_allclose(-plain.score_samples(ROWS), train, atol=5e-7)
    np.testing.assert_allclose(-plain.score_samples(NEW), new, atol=5e-7)
    np.testing.assert_allclose(-tailed.score_samples(NEW), new_tail, atol=5e-7)
    np.testing.assert_allclose(tailed.tail_scale_, [[8, 2.75], [3.25, 2.25]])
    assert tailed.skewness_sign_.tolist() == [1, 1]


def test_golden_far_row():
    X = np.random.default_rng(0).normal(size=(1000, 5))
    assert -ECOD(tail=None).fit(X).score_samples([[6] * 5])[0] == pytest.approx(5 * np.log(1000))
    assert -ECOD().fit(X).score_samples([[6] * 5])[0] == pytest.approx(79.609006, abs=5e-7)


def test_golden_large():
    rng = np.random.default_rng(0)
    train, query = rng.standard_normal((100_000, 50)), rng.standard_normal((100_000, 50))[:1]
    assert -ECOD(tail=None).fit(train).score_samples(query)[0] == pytest.approx(82.526989906911, rel=1e-12)
    paper = ECOD(aggregation="paper", tail=None).fit(train)
    assert -paper.score_samples(query)[0] == pytest.approx(51.472361228370, rel=1e-12)


def test_missing_cells_are_neutral():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    for aggregation in ("feature_max", "paper"):
        detector = ECOD(aggregation=aggregation, nan_policy="neutral").fit(X)
        np.testing.assert_allclose(-detector.score_samples(X), naive.ecod_anomaly(X, X, aggregation), rtol=1e-12)
        # the mean larger tail of n distinct values, a number of its own: 1.345087 for n = 10
        late = ECOD(aggregation=aggregation).fit(X[~np.isnan(X).any(axis=1)]).set_params(nan_policy="neutral")
        again = ECOD(aggregation=aggregation, nan_policy="neutral").fit(X[~np.isnan(X).any(axis=1)])
        np.testing.assert_array_equal(late.score_samples(X), again.score_samples(X))
        np.testing.assert_array_equal(late.explain(X), again.explain(X))
    ten = ECOD(nan_policy="neutral").fit(np.arange(10.0)[:, None])
    assert -ten.score_samples([[np.nan]])[0] == pytest.approx(1.345087, abs=5e-7)
    with pytest.warns(UserWarning, match=r"no training value in column\(s\) \['b'\]"):
        ECOD(nan_policy="neutral").fit(pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}))
    with pytest.raises(ValueError, match="infinity"):
        ten.score_samples([[np.inf]])


def test_explanations_add_up_to_the_bit():
    rng = np.random.default_rng(2)
    X, Q = rng.lognormal(size=(400, 7)), rng.lognormal(size=(80, 7)) * 3
    Q[::5, 2] = np.nan
    for aggregation, compression in itertools.product(("feature_max", "paper"), (None, 0.1)):
        detector = ECOD(aggregation=aggregation, compression=compression, nan_policy="neutral").fit(X)
        parts = detector.explain(Q)
        assert (parts >= 0).all()
        np.testing.assert_array_equal(np.add.accumulate(parts, axis=1)[:, -1], -detector.score_samples(Q))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from(["feature_max", "paper"]))
def test_properties(seed, n, aggregation):
    rng = np.random.default_rng(seed)
    grid = 2.0 ** rng.integers(0, 11)  # so that moving X by 8 is exact, and a symmetric column stays one
    X = np.round(rng.standard_t(3, size=(n, 3)) * grid) / grid
    Q = np.vstack([X[: n // 2 + 1], rng.normal(size=(5, 3)) * 4])
    detector = ECOD(aggregation=aggregation).fit(X)
    scores = detector.score_samples(Q)
    mirrored = ECOD(aggregation=aggregation).fit(-X)
    if aggregation == "feature_max":
        np.testing.assert_allclose(mirrored.score_samples(-Q), scores, rtol=1e-9)
        cubed = ECOD(tail=None).fit(X**3)  # ranks alone: an increasing map changes nothing
        np.testing.assert_array_equal(cubed.score_samples(X**3), ECOD(tail=None).fit(X).score_samples(X))
    affine = ECOD(aggregation=aggregation).fit(X * 4 + 8)
    np.testing.assert_allclose(affine.score_samples(Q * 4 + 8), scores, rtol=1e-9)
    farther = Q.copy()
    farther[:, 1] = np.where(Q[:, 1] > X[:, 1].max(), Q[:, 1] + np.abs(Q[:, 1]) + 1, Q[:, 1])
    assert (detector.score_samples(farther) <= scores + 1e-12).all()
    assert -ECOD(aggregation=aggregation).fit(X).score_samples(X).min() <= 3 * np.log(n) + 1e-9


@pytest.mark.parametrize("aggregation", ["feature_max", "paper"])
def test_blocks_and_merges_equal_one_fit(aggregation):
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.normal(size=900), rng.integers(0, 9, 900), rng.standard_cauchy(900)])
    whole = ECOD(aggregation=aggregation).fit(X)
    blocks = ECOD(aggregation=aggregation)
    for part in np.array_split(rng.permutation(X), [1, 40, 500]):
        blocks.partial_fit(part)
    left, right = ECOD(aggregation=aggregation).fit(X[:300]), ECOD(aggregation=aggregation).fit(X[300:])
    before = right.score_samples(X)
    merged = left.merge(right)
    for detector in (blocks, merged):
        np.testing.assert_array_equal(detector.score_samples(X), whole.score_samples(X))
        assert detector.n_samples_seen_ == 900
        assert detector.offset_ == whole.offset_  # the sample holds every row up to 4096
    np.testing.assert_array_equal(right.score_samples(X), before)


def test_what_cannot_be_merged_is_named():
    X = np.random.default_rng(4).normal(size=(30, 2))
    detector = ECOD().fit(X)
    with pytest.raises(ValueError, match="aggregation is 'feature_max' here and 'paper' in the other"):
        detector.merge(ECOD(aggregation="paper").fit(X))
    with pytest.raises(ValueError, match="dtype is 'float64' here and 'float32'"):
        detector.merge(ECOD().fit(X.astype(np.float32)))
    with pytest.raises(ValueError, match="n_features_in_ is 2 here and 1"):
        detector.merge(ECOD().fit(X[:, :1]))
    with pytest.raises(ValueError, match=r"compression is None here and 0\.1 in the other"):
        detector.merge(ECOD(compression=0.1).fit(X))
    with pytest.raises(ValueError, match=r"compression is 0\.1 here and 0\.2 in the other"):
        ECOD(compression=0.1).fit(X).merge(ECOD(compression=0.2).fit(X))


@pytest.mark.parametrize("compression", [None, 0.1])
def test_a_block_with_other_columns_is_refused(compression):
    frame = pd.DataFrame(np.random.default_rng(5).normal(size=(30, 2)), columns=["a", "b"])
    detector = ECOD(compression=compression).partial_fit(frame)
    before = detector.score_samples(frame)
    with pytest.raises(ValueError, match="c"):
        detector.partial_fit(frame.assign(c=1.0))
    with pytest.raises(ValueError, match="'b' stands where 'a' was"):
        detector.partial_fit(frame[["b", "a"]])
    with pytest.warns(UserWarning, match="valid feature names"), pytest.raises(ValueError, match="2 features"):
        detector.partial_fit(np.ones((5, 3)))
    np.testing.assert_array_equal(detector.score_samples(frame), before)
    assert detector.n_samples_seen_ == 30


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.1]), st.sampled_from(["feature_max", "paper"]))
def test_compressed_scores_are_within_the_error_that_they_name(seed, eps, aggregation):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 60_000)), 3
    X = np.column_stack([np.sort(rng.standard_cauchy(n)), rng.poisson(5, n), rng.lognormal(size=n).round(3)])
    exact = ECOD(aggregation=aggregation).fit(X)
    one = ECOD(aggregation=aggregation, compression=eps).fit(X)
    parts = [
        ECOD(aggregation=aggregation, compression=eps).partial_fit(part) for part in np.array_split(X, 5) if len(part)
    ]
    merged = parts[-1]
    for part in parts[-2::-1]:
        merged.merge(part)
    Q = np.vstack([X[:: max(1, n // 500)], rng.normal(size=(100, d)) * 20])
    for compressed in (one, merged, merged.compact()):
        error = np.abs(compressed.score_samples(Q) - exact.score_samples(Q)).max()
        assert error <= d * compressed.tail_error_ + 1e-9
        assert 0 <= compressed.tail_error_ <= eps + 1e-12
        np.testing.assert_array_equal(compressed.tail_scale_, exact.tail_scale_)
        np.testing.assert_array_equal(compressed.skewness_sign_, exact.skewness_sign_)
        assert compressed.n_samples_seen_ == n
        assert abs(one.offset_ - exact.offset_) <= d * eps + 1e-9


def test_a_compact_model_file_is_small_and_gives_the_same_bits(tmp_path):
    """A fiftieth of a megabyte a feature: 1 MB for 50 of them."""
    rng = np.random.default_rng(4)
    streamed = ECOD(compression=0.01, random_state=0)
    for _ in range(12):
        streamed.partial_fit(rng.lognormal(size=(16_384, 3)))
    one = ECOD(compression=0.01, aggregation="paper").fit(rng.normal(size=(30_000, 3)) + 1000)
    Q = np.vstack([rng.lognormal(size=(200, 3)), rng.normal(size=(200, 3)) * 20 + 990])
    for detector in (streamed, one):
        compact = detector.compact()
        model_file.save(compact, tmp_path / "small.odkit")
        assert os.path.getsize(tmp_path / "small.odkit") < 3 * 20_000
        loaded = model_file.load(tmp_path / "small.odkit")
        for model in (compact, loaded):
            np.testing.assert_array_equal(model.score_samples(Q), detector.score_samples(Q))
            np.testing.assert_array_equal(model.explain(Q), detector.explain(Q))
            np.testing.assert_array_equal(model.predict(Q), detector.predict(Q))
            assert model.tail_error_ == detector.tail_error_ <= 0.01
            with pytest.raises(ValueError, match="a compact ECOD does not remember"):
                model.partial_fit(Q)
        model_file.save(detector, tmp_path / "whole.odkit")
        learning = model_file.load(tmp_path / "whole.odkit").partial_fit(Q)
        np.testing.assert_array_equal(learning.score_samples(Q), detector.partial_fit(Q).score_samples(Q))


def test_exact_detectors_have_a_compact_form_too(tmp_path):
    X = np.random.default_rng(5).normal(size=(300, 2))
    detector = ECOD().fit(X)
    model_file.save(detector.compact(), tmp_path / "exact.odkit")
    loaded = model_file.load(tmp_path / "exact.odkit")
    np.testing.assert_array_equal(loaded.score_samples(X * 2), detector.score_samples(X * 2))
    with pytest.raises(ValueError, match="a compact ECOD"):
        loaded.merge(detector)


def test_small_sets_lose_nothing_by_compression():
    rng = np.random.default_rng(6)
    X = np.column_stack([rng.normal(size=90), rng.integers(0, 9, 90)])
    exact, compressed = ECOD().fit(X), ECOD(compression=0.01).fit(X[:50]).partial_fit(X[50:])
    assert exact.tail_error_ == compressed.tail_error_ == 0.0
    np.testing.assert_array_equal(compressed.score_samples(X * 1.1), exact.score_samples(X * 1.1))
    assert compressed.offset_ == exact.offset_


@pytest.mark.parametrize("parameters", [{}, {"aggregation": "paper"}, {"compression": 0.1, "nan_policy": "neutral"}])
@pytest.mark.parametrize("device", TWINS)
def test_a_torch_device_scores_alike(parameters, device):
    rng = np.random.default_rng(7)
    X, Q = rng.lognormal(size=(500, 4)), rng.lognormal(size=(60, 4)) * 2
    here, there = ECOD(**parameters).fit(X), ECOD(device=device, **parameters).fit(X)
    np.testing.assert_allclose(there.score_samples(Q), here.score_samples(Q), rtol=1e-12)
    np.testing.assert_allclose(there.explain(Q), here.explain(Q), rtol=1e-12)
    assert there.offset_ == pytest.approx(here.offset_, rel=1e-12)


@pytest.mark.parametrize("compression", [0.5, 0.1, 0.05, 0.01])
def test_fewer_rows_than_one_by_compression_stay_exact(compression):
    for n in {1, 2, int(0.5 / compression), int(1 / compression) - 1}:
        X = np.random.default_rng(n).normal(size=(n, 5))
        compressed, exact = ECOD(compression=compression).fit(X), ECOD().fit(X)
        assert compressed.tail_error_ == 0.0
        np.testing.assert_array_equal(compressed.score_samples(X * 1.1), exact.score_samples(X * 1.1))


@pytest.mark.parametrize("compression", [None, 0.1])
def test_parameters_set_after_the_fit_move_no_score(compression):
    X = np.random.default_rng(7).lognormal(size=(200, 3))
    detector = ECOD(compression=compression).fit(X)
    expected = detector.score_samples(X * 2), detector.explain(X * 2)
    for later in ({"aggregation": "paper"}, {"tail": None}, {"tail_cap": 1.0}, {"compression": 0.3}):
        detector.set_params(**later)
        for twin in (detector, pickle.loads(pickle.dumps(detector)), detector.compact()):
            np.testing.assert_array_equal(twin.score_samples(X * 2), expected[0])
            np.testing.assert_array_equal(twin.explain(X * 2), expected[1])
        detector.set_params(aggregation="feature_max", tail="exponential", tail_cap=50.0, compression=compression)
    detector.set_params(tail_cap=1.0).partial_fit(X)  # more rows take the threshold and the rule anew
    whole = ECOD(compression=compression, tail_cap=1.0).fit(np.concatenate([X, X]))
    np.testing.assert_allclose(
        detector.score_samples(X * 2), whole.score_samples(X * 2), atol=0.3 if compression else 0
    )


@pytest.mark.parametrize("aggregation", ["feature_max", "paper"])
def test_one_row_is_enough(aggregation):
    for detector in (ECOD(aggregation=aggregation), ECOD(aggregation=aggregation, compression=0.1)):
        detector.fit([[1.0, -2.0]])
        assert -detector.score_samples([[1.0, -2.0], [1.0, 3.0]]) == pytest.approx([0.0, 50.0])


def test_fitting_takes_twice_the_memory_of_the_rows_at_most():
    import numba  # noqa: F401  loaded now, it is not counted below

    X = np.random.default_rng(9).normal(size=(40_000, 30))
    for detector in (ECOD(), ECOD(aggregation="paper"), ECOD(n_jobs=2), ECOD(compression=0.05)):
        ECOD(**detector.get_params()).fit(X[:20_000]).score_samples(X[:10])
        tracemalloc.start()
        detector.fit(X)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * X.nbytes
        assert held < (1.2 if detector.compression is None else 0.4) * X.nbytes


def test_a_missing_device_is_an_error_of_the_fit():
    with pytest.raises(RuntimeError, match="abacus"):
        ECOD(device="abacus").fit(ROWS)


def test_a_damaged_state_is_refused():
    X = np.random.default_rng(8).normal(size=(20_000, 2))
    detector = ECOD().fit(X)
    detector._check_state()
    detector._table = detector._table._replace(offsets=detector._table.offsets + 1)
    with pytest.raises(ValueError, match="damaged"):
        detector._check_state()
    detector = ECOD(compression=0.1).fit(X)
    for field in ("offsets", "upper", "runs", "middle", "lower", "lower_mask", "rises"):
        spoilt = copy.copy(detector)
        spoilt._steps = detector._steps._replace(**{field: getattr(detector._steps, field)[:-1]})
        with pytest.raises((ValueError, IndexError)):
            spoilt._check_state()
    detector._stats["extremes"] = detector._stats["extremes"][:, :1]
    with pytest.raises(ValueError, match="memory of the training rows is damaged"):
        detector._check_state()


def test_float32_keeps_its_ties():
    X = np.array([[0.1], [0.2], [0.3]], np.float32)
    detector = ECOD(tail=None).fit(X)
    assert detector.score_samples(X.astype(np.float64)).tolist() == detector.score_samples(X).tolist()
    assert detector.score_samples([[0.1]])[0] == detector.score_samples(X[:1])[0]


@pytest.mark.parametrize(
    "bad",
    [
        {"aggregation": "mean"},
        {"tail": "pareto"},
        {"tail_cap": 0},
        {"contamination": 0.6},
        {"nan_policy": "drop"},
        {"compression": 0.0},
        {"compression": 0.6},
    ],
)
def test_bad_parameters_are_named(bad):
    with pytest.raises(ValueError, match=f"The '{next(iter(bad))}' parameter of ECOD"):
        ECOD(**bad).fit(ROWS)


# set -> ROC/AP and sum of the training scores, feature_max then paper; measured once with scikit-learn's metrics
ANCHORS = {
    "4_breastw": (0.9914, 0.9839, 6177.71, 0.9890, 0.9805, 5789.42),
    "6_cardio": (0.9350, 0.5674, 49742.7, 0.8811, 0.4644, 38173.8),
    "14_glass": (0.7046, 0.1859, 2423.63, 0.7805, 0.1665, 1799.33),
    "20_letter": (0.5723, 0.0767, 66419.9, 0.5402, 0.0801, 48247.1),
    "23_mammography": (0.9062, 0.4360, 81393.7, 0.8996, 0.4220, 75336.9),
    "30_satellite": (0.5830, 0.5261, 374688, 0.4955, 0.3435, 333107),
    "32_shuttle": (0.9929, 0.9043, 611077, 0.9935, 0.9083, 476430),
    "35_SpamBase": (0.6556, 0.5183, 153982, 0.6785, 0.5533, 118828),
    "45_wine": (0.7328, 0.1907, 2705.79, 0.8832, 0.3903, 2011.68),
    "47_yeast": (0.4439, 0.3328, 13912.6, 0.4089, 0.3109, 11230.2),
}


@pytest.mark.data
@pytest.mark.parametrize("name", ANCHORS)
def test_anchors_on_real_data(data_home, name):
    with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as file:
        X, truth = file["X"].astype(float), file["y"]
    for aggregation, (roc, ap, total) in zip(
        ("feature_max", "paper"), (ANCHORS[name][:3], ANCHORS[name][3:]), strict=True
    ):
        scores = -ECOD(aggregation=aggregation).fit(X).score_samples(X)
        assert roc_auc_score(truth, scores) == pytest.approx(roc, abs=5e-4)
        assert average_precision_score(truth, scores) == pytest.approx(ap, abs=5e-4)
        assert scores.sum() == pytest.approx(total, rel=1e-5)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_training_scores_equal_pyod(data_home):
    pyod = pytest.importorskip("pyod.models.ecod")
    for path in sorted((data_home / "tabular" / "adbench").glob("*.npz")):
        with np.load(path) as file:
            X = file["X"].astype(float)[:20_000]
        theirs = pyod.ECOD().fit(X).decision_scores_
        np.testing.assert_allclose(-ECOD().fit(X).score_samples(X), theirs, rtol=1e-9, atol=1e-9, err_msg=path.name)


@pytest.mark.parametrize(("fitted", "now"), [(None, 0.1), (0.1, None), (0.1, 0.3)])
def test_compression_set_after_the_fit_is_that_of_the_next_one(fitted, now, tmp_path):
    X = np.random.default_rng(9).normal(size=(200, 2))
    detector = ECOD(compression=fitted).fit(X)
    scores = detector.score_samples(X)
    model_file.save(detector.set_params(compression=now), tmp_path / "m.odkit")
    loaded = model_file.load(tmp_path / "m.odkit")
    for one in (detector, loaded):
        np.testing.assert_array_equal(one.score_samples(X), scores)
        with pytest.raises(ValueError, match=f"compression was {fitted} for the rows seen so far and is {now} now"):
            one.partial_fit(X)


def test_huge_values_load_without_a_warning(tmp_path):
    X = np.repeat([-1.7e308, 1.7e308], 10_000)[:, None]  # their difference is none of float64
    detector = ECOD(compression=0.1).fit(X)
    model_file.save(detector, tmp_path / "m.odkit")
    np.testing.assert_array_equal(model_file.load(tmp_path / "m.odkit").score_samples(X), detector.score_samples(X))


@pytest.mark.parametrize("compression", [None, 0.1])
def test_a_block_beyond_the_first_ones_dtype_is_refused(compression):
    X = np.array([[1.0], [2.0], [1e300]])
    detector = ECOD(compression=compression).partial_fit(X[:2].astype(np.float32))
    with pytest.raises(ValueError, match=r"1e\+300 is beyond the float32 of the rows seen so far"):
        detector.partial_fit(X)
    assert detector.n_samples_seen_ == 2
    assert detector.predict(X).tolist() == [1, 1, -1]
