"""The one place that limits BLAS threads: products of small matrices lose by a second thread, up to 45 times.

The limit belongs to the process. Entering and leaving it from several Python threads at once would restore the wrong
number in the end, so the blocks are counted: the first one in sets it, the last one out takes it back.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  scipy carries a BLAS of its own, which must be loaded before the controller looks
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]

_lock = threading.Lock()
_controller: ThreadpoolController | None = None
_limit = None
_inside = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Run BLAS on one thread inside the block; nested and concurrent blocks are fine. Costs about 15 microseconds.

    Enter it once around a loop of products of matrices with up to some 300 columns, not around a single large product.
    """
    global _controller, _limit, _inside
    with _lock:
        if _inside == 0:
            _controller = _controller or ThreadpoolController()  # 3 ms, so it is kept
            _limit = _controller.limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()
