"""The limit on BLAS threads holds inside, is gone outside, survives threads and errors; rows of products are exact."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from odkit.kernels.cpu import blas, gaussian
from odkit.kernels.cpu.blas import one_thread


def counts() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    before = counts()
    with threadpool_limits(2, user_api="blas"):
        yield
    assert counts() == before


@pytest.mark.usefixtures("two_threads")
def test_nested_blocks():
    with one_thread():
        assert counts() == {1}
        with one_thread():
            assert counts() == {1}
        assert counts() == {1}
    assert counts() == {2}


@pytest.mark.usefixtures("two_threads")
def test_an_error_takes_the_limit_back():
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert counts() == {2}


def test_overlapping_threads_leave_the_number_they_found():
    before, seen = counts(), []
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with one_thread():
            first_in.set()
            seen.append(counts())
            assert second_in.wait(10)
        first_out.set()

    def second():
        assert first_in.wait(10)
        with one_thread():
            second_in.set()
            assert first_out.wait(10)
            seen.append(counts())

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{1}, {1}]  # the second is still inside when the first has left
    assert counts() == before
    with one_thread():  # nobody holds it any more
        assert counts() == {1}


@pytest.mark.parametrize(("d", "k"), [(1, 1), (1, 5), (5, 1), (7, 3), (50, 50), (130, 90), (3, 0)])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_row_of_a_product_does_not_know_the_others(d, k, transposed):
    rng = np.random.default_rng(d)
    X, W = rng.normal(size=(241, d)), rng.normal(size=(k, d)).T if transposed else rng.normal(size=(d, k))
    whole = blas.row_product(X, W)
    np.testing.assert_allclose(whole, X @ W, rtol=1e-12, atol=1e-12)
    for rows in (slice(0, 1), slice(47, 48), slice(48, 50), slice(100, 241), slice(0, 96)):
        for part in (X[rows], np.asfortranarray(X[rows])):
            np.testing.assert_array_equal(blas.row_product(part, W), whole[rows])
    np.testing.assert_array_equal(blas.row_product(X[::-1], W)[::-1], whole)
    assert blas.row_product(X[:0], W).shape == (0, k)


@pytest.mark.parametrize(("d", "k"), [(50, 50), (130, 90), (300, 300)])
def test_a_product_does_not_know_the_number_of_threads(d, k):
    rng = np.random.default_rng(d)
    X, W, upper = rng.normal(size=(241, d)), rng.normal(size=(k, d)).T, np.triu(rng.normal(size=(d, d)))
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            found.append((blas.row_product(X, W), gaussian.mahalanobis_sq(X, X[0], upper)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_stacks_of_products_are_products():
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(3, 50, 4)), rng.normal(size=(3, 4, 2))
    for one in (X, X[0]):  # a stack, and the same rows for all
        found = blas.row_product(one, W)
        assert found.shape == (3, 50, 2)
        for i in range(3):
            np.testing.assert_array_equal(found[i], blas.row_product(X[i] if one is X else one, W[i]))
