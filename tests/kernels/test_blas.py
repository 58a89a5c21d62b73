"""The limit on BLAS threads holds inside, is gone outside, and survives threads and errors."""

import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

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

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{1}]
    assert counts() == before
    with one_thread():  # nobody holds it any more
        assert counts() == {1}
