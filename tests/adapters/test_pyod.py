import inspect

import numpy as np
import pytest
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.mcd import MCD
from pyod.models.pca import PCA
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import odkit
from odkit.adapters.pyod import PyOD, wrap
from odkit.scores import anomaly_score


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 4)), np.vstack([rng.normal(size=(49, 4)), np.full((1, 4), 8.0)])


@pytest.mark.parametrize("foreign", [ECOD(), COPOD(), KNN(), PCA(), MCD(random_state=0), IForest(random_state=0)])
def test_scores_are_pyods_with_the_sign_turned(foreign, rows):
    train, test = rows
    detector = wrap(clone(foreign)).fit(train)
    same = clone(foreign).fit(train)
    np.testing.assert_allclose(anomaly_score(detector, test), same.decision_function(test))
    np.testing.assert_allclose(detector.training_scores_, -same.decision_scores_)
    assert detector.score_samples(test).argmin() == 49
    assert detector.predict(test)[49] == -1
    assert detector.offset_ == pytest.approx(np.percentile(-same.decision_scores_, 10))


def test_who_is_inductive_is_measured(rows):
    train, test = rows
    asked = {type(d).__name__: wrap(d).fit(train).inductive_on(test[:6]) for d in (ECOD(), COPOD(), KNN(), PCA())}
    assert asked == {"ECOD": False, "COPOD": False, "KNN": True, "PCA": True}
    assert PyOD(ECOD(), one_row_at_a_time=True).fit(train).inductive_on(test[:6])


def test_the_wrapped_detector_stays_as_it_was_and_a_second_fit_is_fresh(rows):
    train, test = rows
    foreign = ECOD()
    detector = PyOD(foreign).fit(test).fit(train)
    assert not hasattr(foreign, "decision_scores_")
    np.testing.assert_array_equal(detector.score_samples(test), PyOD(ECOD()).fit(train).score_samples(test))
    assert clone(detector).get_params()["detector__contamination"] == 0.1


def test_it_lives_in_a_pipeline_and_checks_its_input(rows):
    train, test = rows
    piped = make_pipeline(StandardScaler(), PyOD(KNN())).fit(train)
    assert piped.score_samples(test).argmin() == 49
    with pytest.raises(NotFittedError):
        PyOD(KNN()).score_samples(test)
    with pytest.raises(ValueError, match="NaN"):
        PyOD(ECOD()).fit(np.where(train > 3, np.nan, train) * np.nan)
    with pytest.raises(ValueError, match="detector"):
        PyOD(odkit.KNN()).fit(train)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_scores_that_are_all_not_finite_are_seen_and_flag_nothing_finite():
    """PyOD's PCA divides by eigenvalues that are rounding noise."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(200, 3)), np.zeros(200), np.full(200, 0.1)])
    detector = PyOD(PCA()).fit(X)
    assert not np.isfinite(detector.training_scores_).any()
    assert np.isfinite(detector.offset_)
    assert not np.isfinite(detector.score_samples(X)).all()


def test_nothing_of_the_library_imports_the_adapter():
    assert "adapters" not in inspect.getsource(odkit)


# golden: ecod.md section 5, PyOD 3.6.7 in-sample on raw float64 features; ECOD and KNN(5) do not draw
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "feature_max"), [("42_WBC", 0.9948), ("14_glass", 0.7046), ("40_vowels", 0.5929), ("6_cardio", 0.9350)]
)
def test_ecod_in_sample_is_the_published_figure_here_and_there(name, feature_max, data_home):
    with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as archive:
        X, is_outlier = archive["X"].astype(np.float64), archive["y"] == 1
    foreign = -PyOD(ECOD()).fit(X).training_scores_
    own = anomaly_score(odkit.ECOD().fit(X), X)
    assert roc_auc_score(is_outlier, foreign) == pytest.approx(feature_max, abs=5e-4)
    np.testing.assert_allclose(own, foreign, rtol=1e-10)
