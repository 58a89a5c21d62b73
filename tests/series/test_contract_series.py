"""Every series detector keeps its contract: one score per time step, nothing learned from the scored series."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import CorrelatedVote, Discord, DynamicThreshold, anomaly_score
from odkit.series import Interval
from tests.laws import check_a_failed_fit_leaves_no_model, check_copies_score_alike, check_threads_share_one_model
from tests.registry import SERIES, name

ORDER = "a time step's score depends on its neighbours in time"
FLAT = "a one-dimensional X is a series of one channel"
SELF_MATCH = "every training window is at distance 0 from itself"
SHAPES_ONLY = "blind to level and scale"
CONTINUES = "scores go on where the training rows ended"
VOTES = "a vote needs two channels"


def expected_failures(detector):
    order = dict.fromkeys(["check_methods_subset_invariance", "check_methods_sample_order_invariance"], ORDER)
    training = ["check_outliers_train", "check_outliers_fit_predict"]
    if isinstance(detector, CorrelatedVote):
        return order | dict.fromkeys(training, CONTINUES)
    if getattr(detector, "reference", None) == "train":
        return order | {"check_fit1d": FLAT} | dict.fromkeys(training, SELF_MATCH)
    return order | {"check_fit1d": FLAT}


detectors = pytest.mark.parametrize("detector", SERIES, ids=name)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(SERIES, expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    """Two channels, a season and noise; a burst at steps 150 to 169 of the test series."""
    rng = np.random.default_rng(3)
    t = np.arange(300)
    wave = np.column_stack([np.sin(t / 4), np.cos(t / 6)])
    train, test = wave + rng.normal(size=(300, 2)) / 10, wave + rng.normal(size=(300, 2)) / 10
    test[150:170] += 4 * rng.normal(size=(20, 2))
    return train, test


def fresh(detector):
    seed = {"random_state": 0} if "random_state" in detector.get_params() else {}
    return clone(detector).set_params(**seed)


@detectors
def test_one_score_per_step(detector, data):
    train, test = data
    fitted = fresh(detector).fit(train)
    for rows in (300, 157, 60):
        scores = fitted.score_samples(test[:rows])
        assert scores.shape == (rows,)
        assert np.isfinite(scores).all()


@detectors
def test_one_channel_may_be_flat(detector, data):
    if isinstance(detector, CorrelatedVote):
        pytest.skip(VOTES)
    train, test = (X[:, 0] for X in data)
    flat = fresh(detector).fit(train)
    column = fresh(detector).fit(train[:, None])
    for form in (test, test[:, None], test.tolist(), pd.Series(test, name="x"), pd.DataFrame({"x": test})):
        named = fresh(detector).fit(pd.DataFrame({"x": train})) if hasattr(form, "iloc") else flat
        np.testing.assert_array_equal(named.score_samples(form), column.score_samples(test[:, None]))


@detectors
def test_the_scored_series_teaches_nothing(detector, data):
    train, test = data
    fitted = fresh(detector).fit(train)
    before = pickle.dumps(fitted.__dict__)
    fitted.predict(test)
    fitted.detect(1000 * test)
    if hasattr(fitted, "explain"):
        fitted.explain(test)
    assert pickle.dumps(fitted.__dict__) == before


@detectors
def test_a_second_fit_is_a_fresh_fit(detector, data):
    train, test = data
    reused, once = fresh(detector).fit(test * 3 + 1).fit(train), fresh(detector).fit(train)
    np.testing.assert_array_equal(reused.score_samples(test), once.score_samples(test))
    assert reused.offset_ == once.offset_


@detectors
def test_a_failed_fit_leaves_no_model(detector, data):
    check_a_failed_fit_leaves_no_model(fresh(detector), data[0])


@detectors
def test_contamination_moves_only_the_offset(detector, data):
    train, test = data
    low, high = (fresh(detector).set_params(contamination=c).fit(train) for c in (0.02, 0.3))
    np.testing.assert_array_equal(high.score_samples(test), low.score_samples(test))
    assert low.offset_ < high.offset_


@detectors
def test_the_automatic_offset_is_four_deviations_out(detector, data):
    train, test = data
    automatic = fresh(detector).set_params(contamination="auto")
    if getattr(detector, "how", None) == "rank":
        with pytest.raises(ValueError, match="ranks never reach"):
            automatic.fit(train)
        return
    if getattr(detector, "reference", None) == "train":
        pytest.skip(SELF_MATCH)
    if isinstance(detector, CorrelatedVote):
        pytest.skip(CONTINUES)
    anomaly = anomaly_score(automatic.fit(train), train)
    assert automatic.offset_ == pytest.approx(-(anomaly.mean() + 4 * anomaly.std()))
    np.testing.assert_array_equal(automatic.score_samples(test), fresh(detector).fit(train).score_samples(test))


@detectors
def test_training_changes_something(detector, data):
    if isinstance(detector, Discord):
        pytest.skip(SHAPES_ONLY)
    train, test = data
    shifted = fresh(detector).fit(train * [1, 5] + [3, 0])
    assert not np.allclose(fresh(detector).fit(train).score_samples(test), shifted.score_samples(test))


@detectors
def test_a_burst_is_found(detector, data):
    train, test = data
    if isinstance(detector, CorrelatedVote):
        detector = clone(detector).set_params(memory=60)  # the registry's 5 steps cannot tell what error is usual
    fitted = fresh(detector).fit(train)
    assert 140 <= np.argmin(fitted.score_samples(test)) < 180
    found = fitted.detect(test, threshold=DynamicThreshold(padding=5)) if _is_distance(fitted, test) else None
    for intervals in filter(None, (found, fitted.detect(test))):
        assert any(each.start < 170 and each.stop > 150 for each in intervals)
        assert all(isinstance(each, Interval) and each.start <= each.peak < each.stop for each in intervals)


def _is_distance(fitted, test):
    return (fitted.score_samples(test) <= 0).all()


@detectors
def test_pickles_and_copies_score_alike(detector, data):
    train, test = data
    check_copies_score_alike(fresh(detector).fit(train), test)


@detectors
def test_threads_share_one_model(detector, data):
    train, test = data
    check_threads_share_one_model(fresh(detector).fit(train), test, n_threads=4)


@detectors
def test_explanations_add_up(detector, data):
    if not hasattr(detector, "explain"):
        pytest.skip("no explain")
    train, test = data
    fitted = fresh(detector).fit(train)
    parts = fitted.explain(test)
    assert parts.shape == test.shape
    np.testing.assert_allclose(parts.sum(axis=1), anomaly_score(fitted, test), rtol=1e-9, atol=1e-12)


@detectors
def test_the_deviating_channel_is_named(detector, data):
    if not hasattr(detector, "explain"):
        pytest.skip("no explain")
    train, _ = data
    test = train.copy()
    test[150:170, 1] += 5 * np.random.default_rng(0).normal(size=20)
    fitted = fresh(detector).set_params(contamination=0.03).fit(pd.DataFrame(train, columns=["volt", "ampere"]))
    frame = fitted.detect(pd.DataFrame(test, columns=["volt", "ampere"]))
    worst = frame.loc[frame["severity"].idxmax()]
    assert worst["channels"][0] == "ampere"


@detectors
def test_the_clock_comes_back(detector, data):
    train, test = data
    stamps = pd.date_range("2024-05-01", periods=300, freq="5min")
    fitted = fresh(detector).fit(pd.DataFrame(train, index=stamps, columns=["a", "b"]))
    frame = fitted.detect(pd.DataFrame(test, index=stamps + pd.Timedelta("2D"), columns=["a", "b"]))
    plain = fresh(detector).fit(train).detect(test)
    assert frame["start"].tolist() == [stamps[each.start] + pd.Timedelta("2D") for each in plain]
    assert frame["end"].tolist() == [stamps[each.stop - 1] + pd.Timedelta("2D") for each in plain]
    assert frame["peak"].tolist() == [stamps[each.peak] + pd.Timedelta("2D") for each in plain]


@detectors
def test_missing_steps_are_no_evidence(detector, data):
    train, _ = data
    fitted = fresh(detector).fit(train)
    quiet, missing = train.copy(), np.zeros(300, bool)
    quiet[100:104] = np.nan
    missing[100:104] = True
    with pytest.raises(ValueError, match=r"NaN in columns? .*detect\(X, missing=mask\)"):
        fitted.detect(quiet)
    plain = [each for each in fitted.detect(quiet, missing=missing) if each.start < 104 and each.stop > 100]
    assert all(not missing[each.peak] for each in plain)
    quiet[7] = np.nan
    with pytest.raises(ValueError, match="NaN at step 7, which `missing` does not mark"):
        fitted.detect(quiet, missing=missing)


@detectors
def test_lengths_are_guarded_with_both_numbers(detector, data):
    if isinstance(detector, CorrelatedVote):
        pytest.skip(CONTINUES)
    train, _ = data
    shortest = fresh(detector).fit(train).window_
    assert len(fresh(detector).fit(train[:shortest]).score_samples(train[:shortest])) == shortest
    for call in (lambda X: fresh(detector).fit(X), fresh(detector).fit(train).score_samples):
        with pytest.raises(ValueError, match=rf"n_samples = {shortest - 1} time steps.*at least {shortest}"):
            call(train[: shortest - 1])


@detectors
def test_constant_channels_give_finite_scores(detector, data):
    train, test = data
    train = np.column_stack([train[:, 0], np.full(300, 7.0)])
    fitted = fresh(detector).fit(train)
    for moving in (test, train, np.column_stack([test[:, 0], np.full(300, 8.0)])):
        assert np.isfinite(fitted.score_samples(moving)).all()
    still = fresh(detector).fit(np.zeros((300, 2)))
    assert np.isfinite(still.score_samples(np.zeros((300, 2)))).all()
    assert np.isfinite(still.offset_)


@detectors
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: np.column_stack([X, X[:, 0]]), "3 features.*expecting 2"),
        (lambda X: X[:, 0], "Reshape your data|1 features.*expecting 2"),
        (lambda X: np.where(X > 2, np.nan, X), "NaN in column.*Do not drop rows"),
        (lambda X: X / (X < 2), "infinity in column"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[None], "dim 3|3D|3 dim"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_hostile_input_is_named(detector, data, spoil, message):
    train, test = data
    with pytest.raises(ValueError, match=message):
        fresh(detector).fit(train).score_samples(spoil(test))


@detectors
@pytest.mark.parametrize("form", ["float32", "integers", "fortran", "read-only", "strided", "list"])
def test_every_form_of_numbers_is_taken(detector, data, form):
    train = np.round(20 * data[1])
    given = {
        "float32": lambda: train.astype(np.float32),
        "integers": lambda: train.astype(np.int16),
        "fortran": lambda: np.asfortranarray(train),
        "read-only": lambda: np.frombuffer(train.tobytes()).reshape(train.shape),
        "strided": lambda: np.repeat(train, 2, axis=0)[::2],
        "list": lambda: train.tolist(),
    }[form]()
    expected = fresh(detector).fit(train).score_samples(train)
    scores = fresh(detector).fit(given).score_samples(given)
    np.testing.assert_allclose(scores, expected, rtol=1e-3 if form == "float32" else 1e-10, atol=1e-9)


@detectors
@pytest.mark.parametrize("power", [-450, -40, 40, 450])
def test_the_unit_does_not_matter(detector, data, power):
    train, test = data
    once, again = (fresh(detector).fit(unit * train) for unit in (1.0, 2.0**power))
    np.testing.assert_allclose(again.score_samples(2.0**power * test), once.score_samples(test), rtol=1e-6)


@detectors
@pytest.mark.parametrize("unit", [1e160, 1e-160])
def test_numbers_whose_squares_leave_float64_are_refused(detector, data, unit):
    train, test = data
    with pytest.raises(ValueError, match=r"number in channel 1 is \d.*e[+-]1\d\d; squares.*Change the unit"):
        fresh(detector).fit(train * [1, unit])
    fitted = fresh(detector).fit(train)
    if unit > 1:
        with pytest.raises(ValueError, match=r"number in channel 1 is .*; squares"):
            fitted.score_samples(test * [1, unit])
    else:
        assert np.isfinite(fitted.score_samples(test * [1, unit])).all()
