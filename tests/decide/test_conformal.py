"""Conformal: the promise on rows never seen, the threshold identity, and the plain formula."""

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import IsolationForest
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import ECOD, KNN, MovingEnergy
from odkit.decide.calibration_rows import row_groups
from odkit.decide.conformal import Conformal

METHODS = ["split", "loo", "cv+"]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        Conformal(ECOD(), alpha=0.4, calibration_size=0.5),
        Conformal(KNN(n_neighbors=1), method="cv+", n_folds=3, alpha=0.4),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


def make(method, **parameters):
    return Conformal(KNN(n_neighbors=3) if method == "loo" else ECOD(), method=method, random_state=0, **parameters)


@pytest.mark.parametrize("method", METHODS)
def test_p_values_are_uniform_for_ordinary_rows(method):
    rng = np.random.default_rng(0)
    p = [make(method).fit(rng.normal(size=(200, 2))).p_values(rng.normal(size=(40, 2))) for _ in range(40)]
    p = np.concatenate(p)
    for alpha in (0.05, 0.1, 0.3):
        assert np.mean(p <= alpha) == pytest.approx(alpha, abs=4 * np.sqrt(alpha / len(p)) + 0.01)
    assert stats.kstest(p + rng.random(p.size) / 200, "uniform").statistic < 0.05


@pytest.mark.parametrize("method", [*METHODS, "jackknife+"])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 1 / 3, 0.5])
def test_predict_is_p_at_most_alpha(method, alpha):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(89, 2)).round(1)
    detector = make(method, alpha=alpha, calibration_size=39).fit(X)
    rows = np.vstack([rng.normal(size=(300, 2)).round(1) * 1.5, X])
    p = detector.p_values(rows)
    np.testing.assert_array_equal(detector.predict(rows) == -1, p <= alpha)
    order = np.argsort(detector.score_samples(rows))
    assert (np.diff(p[order]) >= 0).all()  # the score never contradicts the p-value


def test_split_p_is_the_plain_formula():
    rng = np.random.default_rng(2)
    X, Q = rng.normal(size=(100, 2)), rng.normal(size=(30, 2))
    detector = make("split", calibration_size=40).fit(X)
    scores = detector.score_samples(Q)
    calibration = detector.calibration_.scores.tolist()
    expected = [(1 + sum(c <= s for c in calibration)) / 41 for s in scores]
    np.testing.assert_allclose(detector.p_values(Q), expected, rtol=1e-12)


def test_cv_plus_ranks_a_row_within_every_fold():
    rng = np.random.default_rng(3)
    X, Q = rng.normal(size=(60, 2)), rng.normal(size=(20, 2))
    detector = make("cv+", n_folds=4).fit(X)
    count = np.zeros(20)
    for c, fold in zip(detector.calibration_.scores, detector.calibration_.fold, strict=True):
        count += c <= detector.detectors_[fold].score_samples(Q)
    np.testing.assert_allclose(detector.p_values(Q), (1 + count) / 61, rtol=1e-12)


def test_weights_undo_a_covariate_shift():
    rng = np.random.default_rng(4)

    def ratio(X):  # density of N(1, 1) over N(0, 1) in the first column
        return np.exp(X[:, 0] - 0.5)

    plain, weighted = [], []
    for seed in range(12):
        X, shifted = rng.normal(size=(800, 2)), rng.normal((1, 0), 1, size=(400, 2))
        split = {"random_state": seed, "alpha": 0.1}
        plain.append(np.mean(Conformal(ECOD(), **split).fit(X).predict(shifted) == -1))
        weighted.append(np.mean(Conformal(ECOD(), weight=ratio, **split).fit(X).predict(shifted) == -1))
    assert np.mean(plain) > 0.15
    assert np.mean(weighted) == pytest.approx(0.1, abs=0.03)


def test_every_group_gets_its_own_alpha():
    rng = np.random.default_rng(5)

    def draw(n):
        group = rng.random(n) < 0.2
        return np.column_stack([rng.normal(size=n) * np.where(group, 5, 1), group])

    def side(X):
        return X[:, 1] > 0.5

    rates = {False: [], True: []}
    for seed in range(10):
        detector = Conformal(ECOD(), group=side, alpha=0.1, random_state=seed).fit(draw(1500))
        Q = draw(1500)
        flagged = detector.predict(Q) == -1
        for value, rate in rates.items():
            rate.append(flagged[side(Q) == value].mean())
    assert np.mean(rates[False]) == pytest.approx(0.1, abs=0.02)
    assert np.mean(rates[True]) == pytest.approx(0.1, abs=0.03)
    only_small = Conformal(ECOD(), group=side, alpha=0.1).fit(draw(500) * [1, 0])
    few = np.column_stack([rng.normal(size=300), np.arange(300) < 9])
    with pytest.raises(ValueError, match=r"calibration rows in group 1\.0 give p-values"):
        Conformal(ECOD(), group=lambda X: X[:, 1], random_state=0).fit(few)
    with pytest.raises(ValueError, match=r"no calibration row in group\(s\) \[True\]"):
        only_small.p_values([[0.0, 1.0]])


def test_selection_keeps_its_rate():
    rng = np.random.default_rng(6)
    false, power = [], []
    for _ in range(40):
        detector = Conformal(ECOD(), calibration_size=1000).fit(rng.normal(size=(2000, 3)))
        outlier = rng.random(300) < 0.1
        batch = rng.normal(size=(300, 3)) + np.where(outlier, 5, 0)[:, None]
        for procedure in ("bh", "storey"):
            flagged = detector.select(batch, fdr=0.2, procedure=procedure)
            false.append((flagged & ~outlier).sum() / max(flagged.sum(), 1))
            power.append(flagged[outlier].mean())
    assert np.mean(false) <= 0.2 + 0.02
    assert np.mean(power) > 0.8
    assert not detector.select(batch, procedure="e-bh")[~outlier].any()
    with pytest.raises(ValueError, match="'bh', 'storey' and 'e-bh'"):
        detector.select(batch, procedure="bonferroni")


def test_any_scikit_learn_detector_will_do():
    X = np.random.default_rng(7).normal(size=(300, 2))
    detector = Conformal(IsolationForest(n_estimators=10), random_state=0).fit(X)
    assert detector.p_values([[0, 0], [9, 9]])[1] == pytest.approx(1 / 91)
    assert not hasattr(detector, "explain")
    assert Conformal(random_state=0).fit(X).explain(X).shape == (300, 2)


class Broken(ECOD):
    def _score(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize(
    ("detector", "error", "message"),
    [
        (
            Conformal(ECOD(), alpha=0.01, calibration_size=30),
            ValueError,
            r"0\.0323 at the least.*at least 99 are needed",
        ),
        (Conformal(ECOD(), calibration_size=200), ValueError, "leaves no row to fit on"),
        (Conformal(ECOD(), method="loo"), TypeError, "leave_one_out_scores, which ECOD has not"),
        (Conformal(Broken()), ValueError, "scored 30 of 30 calibration rows NaN"),
        (Conformal(ECOD(), weight=lambda X: X[:, 0]), ValueError, "one positive number per row"),
        (Conformal(ECOD(), group=lambda X: X), ValueError, "one label per row"),
        (Conformal(42), ValueError, "The 'detector' parameter of Conformal"),
        (Conformal(ECOD(), alpha=0), ValueError, "The 'alpha' parameter of Conformal"),
    ],
)
def test_bad_input_is_named(detector, error, message):
    X = np.random.default_rng(8).normal(size=(100, 2))
    with pytest.raises(error, match=message):
        detector.fit(X)


class LastBits(ECOD):
    """Scores that come back with other last bits from another batch, as matrix products make them."""

    def _score(self, X):
        return super()._score(X) * (1 + 1e-15 * (len(X) % 7))


def test_last_bits_move_no_p_value():
    X = np.random.default_rng(0).integers(0, 2, (300, 5)).astype(float)  # many rows tie with calibration rows
    for alpha in (0.05, 0.1):
        detector = Conformal(LastBits(), alpha=alpha, random_state=0).fit(X)
        p, flags = detector.p_values(X), detector.predict(X)
        np.testing.assert_array_equal(flags == -1, p <= alpha)
        for rows in (slice(0, 1), slice(5, 13), slice(40, 200)):
            np.testing.assert_array_equal(detector.p_values(X[rows]), p[rows])
            np.testing.assert_array_equal(detector.predict(X[rows]), flags[rows])


def test_weighted_p_values_end_at_one():
    for seed in range(8):
        X = np.random.default_rng(seed).normal(size=(200, 3))
        detector = Conformal(ECOD(), weight=lambda X: np.exp(X[:, 0]), random_state=0).fit(X)
        assert detector.p_values(X).max() <= 1
        detector.select(X)


def test_series_are_refused():
    X = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(ValueError, match="MovingEnergy scores time steps by their neighbours"):
        Conformal(MovingEnergy(window=5)).fit(X)


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        (["a", "b", None], True),
        (["a", "b", np.nan], True),
        (np.array([0.0, 1.0, np.nan]), True),
        (np.array(["2024-01-01", "2024-01-01", "NaT"], "datetime64[D]"), True),
        (np.array(["a", "b", "nan"]), False),
        (np.array([0, 1, -1]), False),
        (np.array([True, False, True]), False),
        ([("a", 1), ("a", 2), ("b", 1)], False),
    ],
)
def test_a_missing_group_is_refused_whatever_the_kind_of_label(labels, missing):
    if isinstance(labels, list):
        labels = np.fromiter(labels, dtype=object, count=len(labels))
    if missing:
        with pytest.raises(ValueError, match="missing label"):
            row_groups(lambda X: labels, np.zeros((3, 1)))
    else:
        assert row_groups(lambda X: labels, np.zeros((3, 1))) is labels


def test_groups_that_cannot_be_compared_are_named():
    labels = np.array(["low", 1, 2.0], dtype=object)
    with pytest.raises(ValueError, match="no order among them, of types float, int, str"):
        row_groups(lambda X: labels, np.zeros((3, 1)))
    assert row_groups(lambda X: labels[1:], np.zeros((2, 1))).tolist() == [1, 2.0]
