"""ONNX graphs give what the detectors give, checked against onnxruntime."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, RobustScaler, StandardScaler

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

import odkit  # noqa: E402
from odkit.adapters import onnx as as_onnx  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    """Training rows and rows within, on the values of, at the edge of and far outside of them."""
    rng = np.random.default_rng(5)
    train = np.column_stack(
        [rng.normal(size=400), rng.integers(0, 6, 400), rng.normal(3, 2, 400).round(1), rng.exponential(size=400)]
    )
    new = rng.normal(size=(300, 4)) * [3, 8, 3, 2]
    return train, np.vstack([train[:100], new, train.min(0), train.max(0), train.min(0) - 1e3, train.max(0) + 1e-9])


MODELS = [
    odkit.ECOD(),
    odkit.ECOD(aggregation="paper", tail=None),
    odkit.ECOD(compression=0.05, tail_cap=3.0),
    odkit.Mahalanobis(fpr=0.05),
    odkit.Mahalanobis(subspace=("npca", 0.6), fpr=0.05),
    odkit.Mahalanobis(shrinkage="diag", contamination=0.1),
    odkit.Mahalanobis(normalize="l2", fpr=0.05),
    odkit.GMM(3, random_state=0),
    odkit.GMM(3, covariance_type="tied", random_state=0),
    odkit.GMM(2, covariance_type="diag", random_state=0),
    odkit.GMM(2, covariance_type="spherical", random_state=0),
    make_pipeline(StandardScaler(), odkit.ECOD()),
    make_pipeline(RobustScaler(), MinMaxScaler((-1, 1)), odkit.GMM(2, random_state=0)),
]


def run(detector, X):
    session = onnxruntime.InferenceSession(as_onnx.to_onnx(detector).SerializeToString())
    return session.run(None, {"X": X})


@pytest.mark.parametrize("detector", MODELS, ids=str)
def test_scores_and_flags_are_those_of_the_detector(rows, detector):
    train, new = rows
    detector.fit(train)
    score, flags = run(detector, new)
    np.testing.assert_allclose(score, odkit.anomaly_score(detector, new), rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(flags, detector.predict(new) == -1)
    assert 0 < flags.sum() < len(flags)


@pytest.mark.parametrize("aggregation", ["feature_max", "paper"])
def test_ecod_of_float32_of_constants_and_with_missing_values(rows, aggregation):
    train, new = (np.column_stack([X, np.full(len(X), 2.0)]).astype(np.float32) for X in rows)
    train[::7, 0] = np.nan
    train[:, 2] = np.nan
    detector = odkit.ECOD(nan_policy="neutral", aggregation=aggregation)
    with pytest.warns(UserWarning, match="no training value"):
        detector.fit(train)
    new[3:9, 0] = np.nan
    score, _ = run(detector, new.astype(np.float64))
    np.testing.assert_allclose(score, odkit.anomaly_score(detector, new), rtol=1e-11)


def test_the_file_names_its_columns_and_maker(rows, tmp_path):
    train, new = rows
    names = ["volt", "ampère", "watt", "hertz"]
    detector = odkit.ECOD().fit(pd.DataFrame(train, columns=names))
    as_onnx.save(detector, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    meta = session.get_modelmeta()
    assert meta.producer_name == "odkit"
    assert meta.custom_metadata_map["feature_names"].split("\n") == names
    assert session.run(["is_outlier"], {"X": new[-2:-1]})[0].tolist() == [True]


def test_what_has_no_graph_is_said(rows):
    train, _ = rows
    with pytest.raises(TypeError, match="KNN has no ONNX form; ECOD, Mahalanobis and GMM"):
        as_onnx.to_onnx(odkit.KNN().fit(train))
    with pytest.raises(TypeError, match="Normalizer has no ONNX form here"):
        as_onnx.to_onnx(make_pipeline(Normalizer(), odkit.ECOD()).fit(train))
