"""MeanShiftScoring: identities, the estimators it wraps, what it refuses."""

import numpy as np
import pytest
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import MeanShift, MeanShiftScoring, PCAReconstruction, anomaly_score
from odkit.base import Detector


class Identity(Detector):
    """Reconstructs every row perfectly."""

    def __init__(self, *, contamination=0.1):
        self.contamination = contamination

    def _fit(self, X):
        self.fitted_ = True

    def _score(self, X):
        return np.zeros(len(X))

    def reconstruct(self, X):
        return np.asarray(X, dtype=float)


class TwoMembers(Identity):
    """Reconstructs by two members with variances, in the units of X."""

    def reconstruct_members(self, X):
        return np.stack([X, X + 1]), np.full((2, *X.shape), 4.0)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.vstack([rng.normal(size=(150, 4)), rng.normal(size=(8, 4)) * 5]) * [1, 3, 0.1, 1] + [0, 10, 0, -5]


def test_a_perfect_copy_leaves_the_squared_mean_shift(X):
    distance = anomaly_score(MeanShift().fit(X), X)
    for perfect in (Identity(), PCAReconstruction(4), PCA(), make_pipeline(StandardScaler(), PCA())):
        scored = anomaly_score(MeanShiftScoring(perfect).fit(X), X)
        np.testing.assert_allclose(scored, distance**2, rtol=1e-10, atol=1e-13)


def test_a_rank_0_copy_leaves_the_distance_of_the_shift_from_the_mean(X):
    shifted = MeanShift(scaling=None).fit(X).transform(X)
    expected = ((shifted - X.mean(axis=0)) ** 2).sum(axis=1)
    detector = MeanShiftScoring(PCAReconstruction(0, scaling=None), scaling=None).fit(X)
    np.testing.assert_allclose(anomaly_score(detector, X), expected, rtol=1e-9)


def test_without_a_shift_it_is_the_plain_score(X):
    plain = anomaly_score(PCAReconstruction(2).fit(X), X)
    np.testing.assert_allclose(
        anomaly_score(MeanShiftScoring(PCAReconstruction(2), n_neighbors=1).fit(X), X), plain, rtol=1e-8
    )


@pytest.mark.parametrize("error", ["mse", "pre", "apre"])
def test_an_autoencoder_is_scored_by_its_own_error(X, error):
    pytest.importorskip("torch")
    from odkit import AutoEncoder

    estimator = AutoEncoder(error=error, alpha=0.3, beta=1.5, max_steps=40, n_members=2, random_state=0)
    plain = anomaly_score(estimator.fit(X), X)
    unshifted = MeanShiftScoring(estimator, n_neighbors=1).fit(X)
    np.testing.assert_allclose(anomaly_score(unshifted, X), plain, rtol=1e-8)
    detector = MeanShiftScoring(estimator).fit(X)
    assert not np.allclose(anomaly_score(detector, X), plain)
    np.testing.assert_allclose(detector.explain(X).sum(axis=1), anomaly_score(detector, X), rtol=1e-12)
    np.testing.assert_array_equal(detector.expected(X), detector.mean_shift_.transform(X))


def test_members_and_variances_of_any_estimator_count(X):
    detector = MeanShiftScoring(TwoMembers(), n_neighbors=1, scaling=None).fit(X)
    # alpha = beta = 1: residuals 0 and 1 in each of four columns, variance 4
    np.testing.assert_allclose(anomaly_score(detector, X), 4 * (0.5 / 4 + np.log(4)), rtol=1e-10)


def test_transformers_that_go_both_ways_serve(X):
    for estimator in (PCA(2), NMF(2, init="nndsvda", tol=0.1)):
        detector = MeanShiftScoring(estimator).fit(np.abs(X))
        assert np.isfinite(detector.score_samples(np.abs(X))).all()
        assert estimator is not detector.estimator_
        assert not hasattr(estimator, "components_")


def test_the_default_is_a_seeded_autoencoder(X):
    pytest.importorskip("torch")
    from odkit import AutoEncoder

    first = MeanShiftScoring(random_state=0).fit(X)
    assert isinstance(first.estimator_, AutoEncoder)
    explicit = MeanShiftScoring(AutoEncoder(random_state=0)).fit(X)
    np.testing.assert_array_equal(first.score_samples(X), explicit.score_samples(X))


def test_rows_in_pieces_change_nothing(X, monkeypatch):
    detector = MeanShiftScoring(PCAReconstruction(2)).fit(X)
    whole = detector.score_samples(X)
    monkeypatch.setattr("odkit.detectors.mean_shift_scoring.ROWS", 7)
    np.testing.assert_allclose(detector.score_samples(X), whole, rtol=1e-12)


def test_what_cannot_reconstruct_is_refused_and_leaves_no_model(X):
    with pytest.raises(TypeError, match=r"LinearRegression cannot reconstruct.*`reconstruct`.*`inverse_transform`"):
        MeanShiftScoring(LinearRegression()).fit(X)
    detector = MeanShiftScoring(PCAReconstruction(2)).fit(X)
    with pytest.raises(ValueError, match="n_components=9"):
        detector.set_params(estimator=PCAReconstruction(9)).fit(X)
    with pytest.raises(NotFittedError):
        detector.score_samples(X)


def test_its_parts_are_detectors_in_their_own_right(X):
    detector = MeanShiftScoring(PCAReconstruction(2), contamination=0.2).fit(X)
    np.testing.assert_array_equal(detector.mean_shift_.predict(X), MeanShift(contamination=0.2).fit(X).predict(X))
    assert detector.estimator_.predict(X).shape == (len(X),)


@pytest.mark.parametrize("X", [np.ones((20, 3)), np.zeros((1, 2))], ids=["constant", "one row"])
def test_an_estimator_that_cannot_be_fitted_is_named_after_the_detector(X):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"^MeanShiftScoring: the estimator cannot be fitted\. AutoEncoder: "):
        MeanShiftScoring().fit(X)


@pytest.mark.parametrize("factor", [1e-200, 1e160])
def test_units_whose_squares_no_float_holds(X, factor):
    pytest.importorskip("torch")
    from odkit import AutoEncoder

    estimator = AutoEncoder(min_variance=1e-4, max_steps=40, n_members=2, random_state=0)
    expected = MeanShiftScoring(estimator).fit(X).score_samples(X)
    scaled = MeanShiftScoring(estimator).fit(X * factor).score_samples(X * factor)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-4)


def test_a_row_beyond_all_numbers_is_an_outlier(X):
    X = X * 1e-3
    far = X[:3].copy()
    far[1] = 1e308
    for detector in (PCAReconstruction(2), MeanShiftScoring(PCAReconstruction(2))):
        assert detector.fit(X).predict(far)[1] == -1
        assert detector.score_samples(far)[1] == -np.inf


class OneColumn(Identity):
    def reconstruct(self, X):
        return X[:, :1]


class Nothing(Identity):
    def fit(self, X, y=None):
        super().fit(X)  # and gives nothing back


def test_an_estimator_is_held_to_the_shape_of_the_rows_and_to_nothing_else(X):
    with pytest.raises(ValueError, match=r"OneColumn makes rows of shape \(158, 1\) of rows of shape \(158, 4\)"):
        MeanShiftScoring(OneColumn()).fit(X)
    np.testing.assert_array_equal(
        MeanShiftScoring(Nothing()).fit(X).score_samples(X), MeanShiftScoring(Identity()).fit(X).score_samples(X)
    )


def test_a_pipeline_around_a_detector_is_told_what_to_give(X):
    with pytest.raises(
        TypeError, match=r"Pipeline cannot .* give the PCAReconstruction alone, which scales its columns"
    ):
        MeanShiftScoring(make_pipeline(StandardScaler(), PCAReconstruction(2))).fit(X)


@pytest.mark.data
@pytest.mark.parametrize(("name", "expected"), [("45_wine", 0.955), ("4_breastw", 0.985)])
def test_anchors(data_home, name, expected):
    """Of the specification; one seed of three members, sets this small move by .05 and .15."""
    pytest.importorskip("torch")
    from sklearn.metrics import roc_auc_score

    from odkit import AutoEncoder

    with np.load(data_home / "tabular" / "adbench" / f"{name}.npz") as file:
        X, y = file["X"].astype(float), file["y"]
    detector = MeanShiftScoring(AutoEncoder(n_members=3, random_state=0)).fit(X)
    assert roc_auc_score(y, anomaly_score(detector, X)) == pytest.approx(expected, abs=0.05)
