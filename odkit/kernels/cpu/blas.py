"""The one place that limits BLAS threads: products of small matrices lose by a second thread, up to 45 times.

The limit belongs to the process. Threads that set and restored it in turn would leave the wrong number behind, so one
block at a time holds it: the first one in sets it and takes it back, those that come in meanwhile run as they are.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  scipy carries a BLAS of its own, which must be loaded before the controller looks
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]

_held = threading.Lock()
_controller: ThreadpoolController | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS on one thread inside the block; nested and concurrent blocks are fine. Costs about 15 microseconds.

    Enter it once around a loop of products of matrices with up to some 300 columns, not around a single large product.
    """
    global _controller
    if not _held.acquire(blocking=False):
        yield
        return
    try:
        _controller = _controller or ThreadpoolController()  # 3 ms, so it is kept
        with _controller.limit(limits=1, user_api="blas"):
            yield
    finally:
        _held.release()
