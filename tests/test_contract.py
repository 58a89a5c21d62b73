"""Every detector of the registry keeps the contract: scikit-learn's checks and the laws of the house."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit.decide.thresholds import tukey
from odkit.scores import anomaly_score, explain
from tests.laws import check_a_failed_fit_leaves_no_model, check_copies_score_alike, check_threads_share_one_model
from tests.registry import DETECTORS, name

detectors = pytest.mark.parametrize("detector", DETECTORS, ids=name)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(DETECTORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    train, test = rng.normal(size=(300, 4)), rng.normal(size=(60, 4))
    test[17] = [9.0, -9.0, 9.0, -9.0]
    return train, test


def state(detector) -> bytes:
    return pickle.dumps(detector.__dict__)


@detectors
def test_a_score_does_not_depend_on_the_batch(detector, data):
    train, test = data
    fitted = clone(detector).fit(train)
    together = fitted.score_samples(test)
    alone = np.concatenate([fitted.score_samples(row[None]) for row in test])
    crowd = fitted.score_samples(np.vstack([test, np.tile(test[17], (100, 1)), 50 * test]))[: len(test)]
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(crowd, together)
    np.testing.assert_array_equal(fitted.score_samples(test[::-1])[::-1], together)


@detectors
@pytest.mark.parametrize("d", [1, 13])
def test_no_size_order_layout_or_thread_of_a_batch_changes_a_bit(detector, d):
    """Matrix products take other loops for other shapes, and sums of one row other orders: none may show."""
    rng = np.random.default_rng(d)
    mix = rng.normal(size=(d, d)) + 2 * np.eye(d)
    train, test = rng.normal(size=(200, d)) @ mix + 3, rng.normal(size=(1001, d)) @ mix * 1.5 + 3
    fitted = clone(detector)
    if isinstance(getattr(detector, "n_components", None), int):
        fitted.set_params(n_components=1)
    fitted.fit(train)
    together = fitted.score_samples(test)
    for size in (1, 7, 100):
        parts = [fitted.score_samples(test[start : start + size]) for start in range(0, min(20 * size, 1001), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together[: 20 * size], err_msg=f"batches of {size}")
    np.testing.assert_array_equal(fitted.score_samples(test[:1000]), together[:1000])
    np.testing.assert_array_equal(fitted.score_samples(test[::-1])[::-1], together)
    np.testing.assert_array_equal(fitted.score_samples(np.asfortranarray(test)), together)
    if "n_jobs" in fitted.get_params():
        np.testing.assert_array_equal(fitted.set_params(n_jobs=3).score_samples(test), together)


@detectors
def test_scoring_writes_nothing(detector, data):
    train, test = data
    fitted = clone(detector).fit(train)
    before = state(fitted)
    fitted.predict(test)
    if hasattr(fitted, "explain"):
        fitted.explain(test)
    assert state(fitted) == before


@detectors
def test_a_second_fit_is_a_fresh_fit(detector, data):
    train, test = data
    reused = clone(detector).set_params(**_seed(detector)).fit(test * 3 + 1).fit(train)
    fresh = clone(detector).set_params(**_seed(detector)).fit(train)
    np.testing.assert_array_equal(reused.score_samples(test), fresh.score_samples(test))
    assert reused.offset_ == fresh.offset_


@detectors
def test_a_failed_fit_leaves_no_model(detector, data):
    check_a_failed_fit_leaves_no_model(clone(detector), data[0])


@detectors
def test_contamination_moves_only_the_offset(detector, data):
    train, test = data
    low = clone(detector).set_params(contamination=0.02, **_seed(detector)).fit(train)
    high = clone(detector).set_params(contamination=0.3, **_seed(detector)).fit(train)
    np.testing.assert_array_equal(low.score_samples(test), high.score_samples(test))
    assert low.offset_ < high.offset_


@detectors
def test_the_flagged_share_of_the_training_rows_is_the_contamination(detector, data):
    train, _ = data
    flagged = clone(detector).set_params(contamination=0.1).fit(train).predict(train) == -1
    assert flagged.mean() == pytest.approx(0.1, abs=0.004)


@detectors
def test_auto_draws_the_fence(detector, data):
    train, test = data
    fitted = clone(detector).set_params(contamination="auto").fit(train)
    assert fitted.offset_ == pytest.approx(-tukey(anomaly_score(fitted, train)), rel=1e-9)
    assert (fitted.predict(train) == -1).mean() < 0.15
    assert fitted.predict(test)[17] == -1


@detectors
def test_training_changes_something(detector, data):
    train, test = data
    fitted = clone(detector).set_params(**_seed(detector)).fit(train)
    shifted = clone(detector).set_params(**_seed(detector)).fit(train * [1, 5, 1, 1] + [3, 0, 0, 0])
    assert not np.allclose(fitted.score_samples(test), shifted.score_samples(test))


@detectors
def test_a_planted_outlier_comes_first(detector, data):
    train, test = data
    fitted = clone(detector).fit(train)
    assert np.argmin(fitted.score_samples(test)) == 17
    assert fitted.predict(test)[17] == -1


@detectors
def test_pickles_and_copies_score_alike(detector, data):
    train, test = data
    check_copies_score_alike(clone(detector).fit(train), test)


@detectors
def test_threads_share_one_model(detector, data):
    train, test = data
    check_threads_share_one_model(clone(detector).fit(train), test, n_threads=8)


@detectors
def test_pipelines_and_grid_search(detector, data):
    train, test = data
    pipeline = make_pipeline(StandardScaler(), clone(detector)).fit(train)
    scores = anomaly_score(pipeline, test)
    assert scores.shape == (60,)
    assert np.argmax(scores) == 17
    truth = np.zeros(300, bool)
    truth[::7] = True

    def roc(estimator, X, y):
        return roc_auc_score(y, anomaly_score(estimator, X))

    step = pipeline.steps[-1][0]
    search = GridSearchCV(pipeline, {f"{step}__contamination": [0.05, 0.2]}, scoring=roc, cv=2).fit(train, truth)
    assert search.best_params_[f"{step}__contamination"] in (0.05, 0.2)


@detectors
def test_explanations_have_one_part_per_feature(detector, data):
    if not hasattr(detector, "explain"):
        pytest.skip("no explain")
    train, test = data
    fitted = clone(detector).fit(train)
    parts = explain(fitted, test)
    assert parts.shape == test.shape
    assert np.isfinite(parts).all()


@detectors
def test_the_order_of_columns_is_guarded(detector, data):
    train, test = data
    frame = pd.DataFrame(train, columns=list("abcd"))
    fitted = clone(detector).fit(frame)
    swapped = pd.DataFrame(test, columns=list("abcd"))[list("bacd")]
    with pytest.raises(ValueError, match="'b' stands where 'a' was"):
        fitted.score_samples(swapped)
    with pytest.raises(ValueError, match="- d"):
        fitted.score_samples(swapped[list("abc")])


HOSTILE = {
    "NaN": (lambda X: _put(X, np.nan), "NaN in column 2"),
    "infinity": (lambda X: _put(X, np.inf), "infinity in column 2"),
    "empty": (lambda X: X[:0], "0 sample"),
    "no columns": (lambda X: X[:, :0], "0 feature"),
    "one-dimensional": (lambda X: X[:, 0], "2D array|1D array"),
    "three-dimensional": (lambda X: X[None], "dim 3|3D|3 dim"),
    "text": (lambda X: X.astype(str).astype(object) + "x", "could not convert"),
    "complex": (lambda X: X + 1j, "[Cc]omplex"),
}


@detectors
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_input_is_named(detector, data, case):
    spoil, message = HOSTILE[case]
    train, _ = data
    if case == "NaN" and detector.__sklearn_tags__().input_tags.allow_nan:
        pytest.skip("takes NaN")
    with pytest.raises(ValueError, match=message):
        clone(detector).fit(spoil(train))
    if case not in ("no columns",):
        fitted = clone(detector).fit(train)
        with pytest.raises(ValueError, match=message):
            fitted.score_samples(spoil(train))


@detectors
@pytest.mark.parametrize("form", ["float32", "uint8", "bool", "object", "fortran", "read-only", "strided", "list"])
def test_every_form_of_numbers_is_taken(detector, data, form):
    train = np.abs(data[0] * 20).round()
    given = {
        "float32": lambda: train.astype(np.float32),
        "uint8": lambda: train.astype(np.uint8),
        "bool": lambda: train > 15,
        "object": lambda: train.astype(object),
        "fortran": lambda: np.asfortranarray(train),
        "read-only": lambda: _read_only(train),
        "strided": lambda: np.repeat(train, 2, axis=0)[::2],
        "list": lambda: train.tolist(),
    }[form]()
    plain = np.asarray(given, dtype=float)
    expected = clone(detector).set_params(**_seed(detector)).fit(plain).score_samples(plain)
    scores = clone(detector).set_params(**_seed(detector)).fit(given).score_samples(given)
    np.testing.assert_allclose(scores, expected, rtol=1e-3 if form == "float32" else 1e-10)


def _put(X, value):
    X = X.copy()
    X[5, 2] = value
    return X


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _seed(detector) -> dict:
    return {"random_state": 0} if "random_state" in detector.get_params() else {}
