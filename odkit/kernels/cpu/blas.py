"""How odkit multiplies small matrices: on one BLAS thread, and rows with the same bits in any company.

A second thread makes products of small matrices up to 45 times slower. The limit belongs to the process. Threads that
set and restored it in turn would leave the wrong number behind: the first block in sets it, the last one out takes it
back.

BLAS picks its loops by the shape of a product and the number of threads, and they round differently: the last bits of a
row of X @ W depend on how many rows X has. `row_product` therefore multiplies `ROWS` rows at a time, the last of them
zeros if need be, on one thread.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  scipy carries a BLAS of its own, which must be loaded before the controller looks
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

__all__ = ["ROWS", "one_thread", "row_product", "whole_blocks"]

ROWS = 48  # a multiple of the widths 2 to 24 in which kernels take rows, so that no row is a remainder

THREADED = 1 << 16  # multiplications of a product from which a BLAS may take a second thread

_lock = threading.Lock()
_inside = 0  # blocks that want one thread now
_controller: ThreadpoolController | None = None
_limit: Any = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS on one thread inside the block; nested and concurrent blocks are fine. Costs about 15 microseconds.

    Enter it once around a loop of products of matrices with up to some 300 columns, not around a single large product.
    """
    global _controller, _inside, _limit
    with _lock:
        if not _inside:
            _controller = _controller or ThreadpoolController()  # 3 ms, so it is kept
            _limit = _controller.limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _limit.restore_original_limits()


def whole_blocks(X: NDArray) -> NDArray:
    """X (..., n, d) in C-order with rows of zeros up to a multiple of `ROWS`; X itself where it is that already."""
    *lead, n, d = X.shape
    if n % ROWS == 0:
        return np.ascontiguousarray(X)
    padded = np.zeros((*lead, n + -n % ROWS, d), X.dtype)
    padded[..., :n, :] = X
    return padded


def row_product(X: NDArray, W: NDArray) -> NDArray:
    """X @ W, (..., n, d) by (..., d, k), each row with the bits that it has alone.

    Many blocks of `ROWS` rows are one stack of products: for small d and k that is faster than a single product. W must
    have the same memory order whenever equal bits are wanted. One row costs what `ROWS` rows do.
    """
    (*lead, n, d), k = X.shape, W.shape[-1]
    if k == 1:  # else a product with a vector, whose loops take rows in their own groups
        return row_product(X, np.repeat(W, 2, axis=-1))[..., :1]
    n_blocks = -(-n // ROWS)
    with one_thread() if ROWS * d * k >= THREADED else nullcontext():
        product = np.matmul(whole_blocks(X).reshape(*lead, n_blocks, ROWS, d), W[..., None, :, :])
    return product.reshape(*product.shape[:-3], n_blocks * ROWS, k)[..., :n, :]
