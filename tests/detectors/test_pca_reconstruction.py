"""PCAReconstruction against scikit-learn's PCA, and its limits."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from odkit import PCAReconstruction, anomaly_score


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5)) + 3


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_equals_scikit_learns_pca(X, rank):
    detector = PCAReconstruction(rank, scaling=None).fit(X)
    pca = PCA().fit(X)
    kept = pca.components_[:rank]
    made = (X - pca.mean_) @ kept.T @ kept + pca.mean_
    np.testing.assert_allclose(detector.reconstruct(X), made, rtol=1e-9)
    np.testing.assert_allclose(anomaly_score(detector, X), ((X - made) ** 2).sum(axis=1), rtol=1e-7, atol=1e-20)
    np.testing.assert_allclose(detector.explained_variance_, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(detector.components_ @ kept.T), np.eye(rank), atol=1e-9)
    assert detector.components_.shape == (rank, 5)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.95, 0.999999])
def test_a_share_takes_as_many_as_it_needs_and_leaves_one(X, share):
    detector = PCAReconstruction(share).fit(X)
    ratio = np.cumsum(detector.explained_variance_) / detector.explained_variance_.sum()
    assert detector.n_components_ == min(int((ratio < share).sum()) + 1, 4)
    assert PCAReconstruction(share).fit(X[:, :1]).n_components_ == 0


def test_parts_sum_and_units_do_not_matter(X):
    detector = PCAReconstruction(2).fit(X)
    np.testing.assert_allclose(detector.explain(X).sum(axis=1), anomaly_score(detector, X), rtol=1e-12)
    other = PCAReconstruction(2).fit(X * [1, 1e3, 1e-3, 1, 1] + 7)
    np.testing.assert_allclose(
        anomaly_score(other, X * [1, 1e3, 1e-3, 1, 1] + 7), anomaly_score(detector, X), rtol=1e-6
    )
    np.testing.assert_array_equal(detector.expected(X), detector.reconstruct(X))


def test_rows_fewer_than_columns_and_constant_columns():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=(4, 9)), np.ones(4)])
    detector = PCAReconstruction(3).fit(X)
    np.testing.assert_allclose(anomaly_score(detector, X), 0, atol=1e-20)
    np.testing.assert_allclose(anomaly_score(detector, X + np.eye(10)[9]), 1, rtol=1e-9)


@pytest.mark.parametrize("n_components", [0, 3, 7, 8, 11, 0.5, 0.99])
def test_wide_rows_as_by_the_covariance(n_components):
    X = np.random.default_rng(2).normal(size=(8, 30))
    wide = PCAReconstruction(n_components, scaling=None).fit(X)
    np.testing.assert_allclose(
        wide.explained_variance_, np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1], rtol=1e-9, atol=1e-13
    )
    assert wide.explained_variance_.shape == (30,)
    np.testing.assert_allclose(wide.components_ @ wide.components_.T, np.eye(wide.n_components_), atol=1e-12)
    if wide.n_components_ <= 7:  # beyond the rank of eight rows, directions are arbitrary
        far = 3 * np.random.default_rng(4).normal(size=(5, 30))
        directions = np.linalg.eigh(np.cov(X.T))[1][:, ::-1][:, : wide.n_components_]
        rest = (far - X.mean(axis=0)) @ (np.eye(30) - directions @ directions.T)
        np.testing.assert_allclose(anomaly_score(wide, far), (rest**2).sum(axis=1), rtol=1e-9)


def test_bad_parameters(X):
    with pytest.raises(ValueError, match=r"n_components=6 with 5 columns; at most 5"):
        PCAReconstruction(6).fit(X)
    for wrong in (-1, 1.5, 0.0):
        with pytest.raises(ValueError, match=f"'n_components'.*{wrong}"):
            PCAReconstruction(wrong).fit(X)


def test_variances_that_overflow_are_named(X):
    with pytest.raises(ValueError, match=r"PCAReconstruction: variances overflow \(largest value .*scaling=None\)"):
        PCAReconstruction(2, scaling=None).fit(X * 1e200)
    with pytest.raises(ValueError, match="PCAReconstruction: variances overflow"):
        PCAReconstruction(2).fit(X * 1e307)
    expected = anomaly_score(PCAReconstruction(2).fit(X), X)
    np.testing.assert_allclose(anomaly_score(PCAReconstruction(2).fit(X * 1e200), X * 1e200), expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("scale_", np.zeros(5)), ("location_", np.full(5, np.inf))])
def test_a_state_that_cannot_score_is_refused(X, name, value):
    detector = PCAReconstruction(2).fit(X)
    detector._check_state()
    setattr(detector, name, value)
    with pytest.raises(ValueError, match="PCAReconstruction: components_, location_ and scale_ must be finite"):
        detector._check_state()
