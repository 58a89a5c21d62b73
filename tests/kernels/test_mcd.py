"""Minimum covariance determinant against all subsets, against scikit-learn, and on data where it is not defined."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import MinCovDet

from odkit.kernels.cpu import mcd, mcd_factors
from odkit.kernels.cpu.mcd_starts import median_and_spread
from odkit.kernels.cpu.mcd_steps import Search
from tests import naive


def contaminated(seed, n, d, share=0.2, shift=5.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[: int(share * n)] += shift
    return X


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 10), st.integers(1, 3), st.sampled_from([0.0, 0.25]))
def test_few_rows_give_the_smallest_of_all_subsets(seed, n, d, share):
    X = contaminated(seed, n, d, share)
    h = mcd.default_size(n, d)
    found, (logdet, rows) = mcd.mcd(X, h), naive.smallest_determinant(X, h)
    assert found.logdet == pytest.approx(logdet, abs=1e-9)
    assert tuple(sorted(found.rows)) == rows


@pytest.mark.parametrize("d", [2, 12])
def test_a_ridge_is_part_of_the_determinant(d):
    X = contaminated(0, 10, d)
    found, (logdet, rows) = mcd.mcd(X, 6, ridge=0.1), naive.smallest_determinant(X, 6, ridge=0.1)
    assert found.logdet == pytest.approx(logdet, abs=1e-9)
    assert tuple(sorted(found.rows)) == rows


def test_golden_twelve_rows():
    """Specification of the method, section 5: the optimum over all 495 subsets and the reweighted estimate."""
    i, j = np.arange(1, 13)[:, None], np.arange(1, 3)
    X = np.sin(i * j) + np.cos(0.7 * i + j**2)
    X[10:] = [[6, 6], [6.5, 5.5]]
    assert mcd.default_size(12, 2) == 8
    best = mcd.mcd(X, 8)
    np.testing.assert_array_equal(np.sort(best.rows) + 1, [2, 3, 4, 5, 6, 8, 9, 10])
    assert np.exp(best.logdet) == pytest.approx(0.392588509908, rel=1e-11)
    rows, support, degrees = mcd.robust_rows(X)
    np.testing.assert_array_equal(np.flatnonzero(support) + 1, range(1, 11))
    np.testing.assert_allclose(rows.mean(axis=0), [0.127085667734, 0.064243250752], rtol=1e-10)
    covariance = np.cov(rows.T, bias=True) / mcd_factors.small_sample_factor(2, degrees)  # which it is without
    np.testing.assert_allclose(covariance[[0, 0, 1], [0, 1, 1]], [1.384987295751, -0.782774891686, 1.098746490024])
    assert naive.mahalanobis_sq(X[10:11], rows.mean(axis=0), covariance)[0] == pytest.approx(155.4101515)


@pytest.mark.parametrize("n", [2, 3, 9, 200])
def test_one_column_is_exact(n):
    x = np.random.default_rng(n).standard_cauchy(n)
    for h in range(n // 2 + 1, n + 1):
        best = mcd.mcd(x[:, None], h)
        y = np.sort(x)
        assert np.exp(best.logdet) == pytest.approx(min(y[i : i + h].var() for i in range(n - h + 1)), rel=1e-9)
        assert best.location[0] == pytest.approx(x[best.rows].mean())


@pytest.mark.parametrize(("n", "d", "share"), [(80, 3, 0.0), (300, 12, 0.25)])
def test_no_larger_than_scikit_learn(n, d, share):
    X = contaminated(0, n, d, share)
    peer = np.flatnonzero(MinCovDet(random_state=0).fit(X).raw_support_)
    found = mcd.mcd(X, len(peer))
    assert found.logdet <= np.linalg.slogdet(np.cov(X[peer].T, bias=True))[1] + 1e-9


def test_many_rows_end_as_low_as_from_the_clean_rows():
    X = contaminated(1, 9000, 8, share=0.3, shift=3.0)
    h = mcd.default_size(9000, 8)
    search = Search(X, h, 0.0)
    oracle = search.descend(search.estimate(np.arange(2700, 9000)))
    assert mcd.mcd(X, h).logdet <= oracle.logdet + 1e-4


def test_the_answer_is_its_own_neighbourhood():
    """A concentration step from the answer does not lower the determinant, and the fields belong to the rows."""
    X = contaminated(1, 6000, 4)
    best = mcd.mcd(X, 3100)
    np.testing.assert_allclose(best.location, X[best.rows].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(best.covariance, np.cov(X[best.rows].T, bias=True), rtol=1e-10)
    squares = naive.mahalanobis_sq(X, best.location, best.covariance)
    nearest = np.argsort(squares)[:3100]
    assert np.linalg.slogdet(np.cov(X[nearest].T, bias=True))[1] >= best.logdet - 1e-12


@pytest.mark.parametrize(("n", "d"), [(150, 4), (6000, 10)])
@pytest.mark.parametrize("kind", ["shift", "far", "cluster", "radial"])
def test_four_in_ten_outliers_are_left_out(n, d, kind):
    rng = np.random.default_rng(2)
    X, k = rng.normal(size=(n, d)), int(0.4 * n)
    u = np.ones(d) / np.sqrt(d)
    X[:k] = {"shift": X[:k] + 14 * u, "far": X[:k] + 1e7 * u, "cluster": X[:k] + 40 * u, "radial": 30 * X[:k]}[kind]
    X = X @ rng.normal(size=(d, d))
    _, support, _ = mcd.robust_rows(X)
    assert support[:k].mean() < 0.02
    assert support[k:].mean() > 0.85


def test_normal_rows_give_their_covariance():
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(4, 4))
    rows, support, _ = mcd.robust_rows(rng.normal(size=(20_000, 4)) @ mixing)
    np.testing.assert_allclose(np.cov(rows.T), mixing.T @ mixing, atol=0.05 * np.abs(mixing.T @ mixing).max())
    assert support.mean() == pytest.approx(0.975, abs=0.006)


@pytest.mark.parametrize("d", [1, 3, 10])
@pytest.mark.parametrize("share", [0.5, 0.75, 0.975])
def test_consistency_factor_by_integration(share, d):
    """Variance of one coordinate of normal rows within the ball of the given probability: E[r^2 | r^2 < q] / d."""
    law = scipy.stats.chi2(d)
    inside = law.expect(lambda r: r, lb=0, ub=law.ppf(share)) / share / d
    assert mcd_factors.consistency_factor(share, d) == pytest.approx(1 / inside, rel=1e-6)
    assert mcd_factors.consistency_factor(1.0, d) == 1


@pytest.mark.parametrize("d", [1, 4])
def test_distances_from_few_rows_follow_hotelling(d):
    rng, n = np.random.default_rng(10), 30
    squares = []
    for _ in range(2000):
        X, new = rng.normal(size=(n, d)), rng.normal(size=d)
        squares.append(naive.mahalanobis_sq(new[None], X.mean(axis=0), np.cov(X.T, bias=True).reshape(d, d))[0])
    for fpr in (0.5, 0.1, 0.01):
        found = np.mean(np.array(squares) > mcd_factors.distance_quantile(d, n, fpr))
        assert found == pytest.approx(fpr, abs=4 * np.sqrt(fpr / 2000))
    assert mcd_factors.distance_quantile(d, 1e7, 0.01) == pytest.approx(scipy.stats.chi2(d).isf(0.01), rel=1e-5)


@pytest.mark.parametrize(
    ("n", "d", "share", "factor"), [(100, 2, 0.75, 1.10), (100, 5, 0.9, 1.07), (400, 10, 0.5, 1.065)]
)
def test_the_small_sample_factor_is_about_that_of_the_determinant(n, d, share, factor):
    """`factor`: one over the mean d-th root of the determinant of simulated reweighted estimates, as Pison et al."""
    found = mcd_factors.small_sample_factor(d, mcd_factors.degrees_of_freedom(n, d, share))
    assert found == pytest.approx(factor, abs=0.05)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.975])
@pytest.mark.parametrize("d", [1, 10, 200])
def test_many_rows_need_no_factor(d, share):
    degrees = mcd_factors.degrees_of_freedom(10**7, d, share)
    assert d < degrees
    assert mcd_factors.small_sample_factor(d, degrees) == pytest.approx(1, abs=1e-3)


def _zeroed(rng):
    A = rng.normal(size=(200, 6))
    A[rng.random(200) < 0.4] = 0
    return A


def _repeated(rng):
    A = rng.normal(size=(200, 6))
    A[:66] = A[0]
    return A


def _far(rng):
    B = rng.normal(size=(200, 3))
    B[:50] *= 1e8
    return B @ rng.normal(size=(3, 3))


@pytest.mark.parametrize(
    ("make", "seed", "ridge"),
    [(_zeroed, 42, 0.0), (_repeated, 9, 0.0), (_far, 18, 0.05), (_far, 20, 0.05), (_far, 18, 0.0), (_far, 20, 0.0)],
)
def test_matrices_at_the_edge_of_float64_are_no_end(make, seed, ridge):
    X = make(np.random.default_rng(seed))
    rows, support, _ = mcd.robust_rows(X, ridge=ridge)
    assert np.isfinite(rows).all()
    assert support.sum() > 80
    if make is _far:
        assert not support[:50].any()


def test_rows_too_far_apart_for_a_ridge_are_named():
    X = np.random.default_rng(12).normal(size=(60, 3))
    X[:, :2] += 1e9 * X[:, 2:]
    with pytest.raises(ValueError, match=r"rows some are so far away \(column [01]: .*lower support_fraction") as error:
        mcd.mcd(X, 31, ridge=1e-6)
    assert not isinstance(error.value, mcd.DegenerateError)


def test_rows_on_a_hyperplane_are_no_answer():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 4))
    X[:120, 3] = X[:120, 1] - X[:120, 2]
    with pytest.raises(mcd.DegenerateError, match=r"across columns 1, 2, 3, .*\('mcd', 0\.05\)") as error:
        mcd.robust_rows(X)
    normal = error.value.normal / median_and_spread(X)[1]
    np.testing.assert_allclose(normal / normal[3], [0, -1, 1, 1], atol=1e-6)
    rows, support, _ = mcd.robust_rows(X, ridge=0.05)
    assert np.isfinite(rows).all()
    assert support.sum() > 100


@pytest.mark.parametrize("n", [60, 5000])
def test_ties_of_more_than_half_of_the_rows_are_found(n):
    """0.52 n rows share a value in the last column: so few that steps from elsewhere would pass them by."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, 3))
    X[: int(0.56 * n), 2] = 1.5
    with pytest.raises(mcd.DegenerateError, match="across column 2, "):
        mcd.robust_rows(X)
    mcd.robust_rows(X, support_fraction=0.75)
    mcd.robust_rows(X, ridge=0.01)
    with pytest.raises(mcd.DegenerateError, match="across column 0, "):
        mcd.robust_rows(X[:, 2:])


def test_half_of_the_rows_on_a_hyperplane_is_not_too_many():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(200, 3))
    X[:98, 2] = 0.0
    best = mcd.mcd(X, mcd.default_size(200, 3))
    assert np.isfinite(best.logdet)
    assert (best.rows < 98).mean() > 0.9  # as many of them as it may take: they are flat in one direction


def test_constant_and_duplicated_columns_are_left_out_of_the_search():
    X = contaminated(7, 120, 3)
    _, expected, _ = mcd.robust_rows(X)
    wide = np.column_stack([X, np.full(120, 0.1), X[:, 1], X[:, 0] + 1e-3 * X[:, 2]])
    rows, support, _ = mcd.robust_rows(wide)
    np.testing.assert_array_equal(support, expected)
    np.testing.assert_allclose(rows[:, 3], 0.1, rtol=1e-12)


def test_a_third_of_outliers_in_mixed_columns_is_left_out():
    rng = np.random.default_rng(17)  # the starts along rotated columns miss these
    X = rng.normal(size=(20_000, 30))
    X[:6000] += 12 / np.sqrt(30)
    _, support, _ = mcd.robust_rows(X @ rng.normal(size=(30, 30)))
    assert not support[:6000].any()
    assert support[6000:].mean() > 0.95


def test_too_few_rows_are_named():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match=r"n_samples=6 rows in 5 independent of n_features=5 columns"):
        mcd.robust_rows(rng.normal(size=(6, 5)))
    with pytest.raises(ValueError, match=r"51 of n_samples=100 rows .* 53 of them"):
        mcd.robust_rows(rng.normal(size=(100, 5)), support_fraction=0.51)
    with pytest.raises(ValueError, match="0 independent"):
        mcd.robust_rows(np.ones((9, 2)))
    with pytest.warns(UserWarning, match="20 rows in 5 independent columns, fewer than 5 for each"):
        mcd.robust_rows(rng.normal(size=(20, 5)))
    rows, _, _ = mcd.robust_rows(rng.normal(size=(9, 20)), ridge=0.1)  # fewer rows than columns
    assert rows.shape[1] == 20


def test_equal_rows_give_equal_answers_and_stay_as_they_are():
    X = contaminated(9, 4500, 3)
    X.flags.writeable = False
    first, second = mcd.robust_rows(X), mcd.robust_rows(X.copy())
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
