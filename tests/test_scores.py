"""Scores and reasons as free functions: any detector, alone or behind transformers that keep the columns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, PolynomialFeatures, StandardScaler

from odkit import ECOD, TailOdds
from odkit.scores import anomaly_score, explain
from tests.toys import Deviation


@pytest.fixture(scope="module")
def X():
    X = np.random.default_rng(1).normal(size=(80, 3))
    X[5] = [0, 40, 0]
    return X


@pytest.mark.parametrize(
    "detector",
    [
        Deviation(),
        IsolationForest(n_estimators=20, random_state=0),
        LocalOutlierFactor(novelty=True),
        EllipticEnvelope(random_state=0),
        make_pipeline(StandardScaler(), Deviation()),
    ],
    ids=lambda detector: type(detector).__name__,
)
def test_the_score_is_minus_normality_for_every_detector(detector, X):
    scores = anomaly_score(detector.fit(X), X)
    np.testing.assert_array_equal(scores, -detector.score_samples(X))
    assert scores.dtype == np.float64
    assert scores.argmax() == 5


def test_what_gives_no_scores_is_refused(X):
    with pytest.raises(TypeError, match="LinearRegression has no score_samples"):
        anomaly_score(LinearRegression().fit(X, X[:, 0]), X)
    with pytest.raises(NotFittedError):
        anomaly_score(Deviation(), X)
    with pytest.raises(TypeError, match="IsolationForest gives no contributions"):
        explain(IsolationForest(n_estimators=2).fit(X), X)
    with pytest.raises(NotFittedError):
        explain(make_pipeline(StandardScaler(), Deviation()), X)


@pytest.mark.parametrize("named", [False, True], ids=["array", "frame"])
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [StandardScaler()],
        ["passthrough", MinMaxScaler()],
        [None],
        [SimpleImputer(), StandardScaler()],
        [TailOdds()],
        [FunctionTransformer(np.arctan, feature_names_out="one-to-one")],
    ],
    ids=str,
)
def test_explanations_pass_steps_that_keep_the_columns(X, steps, named):
    rows = pd.DataFrame(X, columns=["volt", "ampere", "watt"]) if named else X
    pipeline = make_pipeline(*steps, Deviation()).fit(rows)
    parts = explain(pipeline, rows)
    assert parts.shape == X.shape
    np.testing.assert_allclose(parts.sum(axis=1), anomaly_score(pipeline, rows))
    assert parts[5].argmax() == 1


@pytest.mark.parametrize(
    "step",
    [
        PCA(3),
        PolynomialFeatures(2),
        ColumnTransformer([("swap", "passthrough", [2, 0, 1])]),
        FunctionTransformer(lambda X: X[:, ::-1]),
    ],
    ids=lambda step: type(step).__name__,
)
def test_explanations_stop_at_steps_that_mix_columns(X, step):
    pipeline = make_pipeline(StandardScaler(), step, ECOD()).fit(X)
    with pytest.raises(TypeError, match=f"{type(step).__name__} mixes columns or does not say that it keeps them"):
        explain(pipeline, X)


def test_an_imputer_that_drops_a_column_keeps_no_columns(X):
    X = X.copy()
    X[:, 1] = np.nan
    imputer = SimpleImputer()
    with pytest.warns(UserWarning, match="without any observed values"):
        pipeline = make_pipeline(imputer, Deviation()).fit(X)
    with pytest.raises(TypeError, match="SimpleImputer mixes columns"):
        explain(pipeline, X)
