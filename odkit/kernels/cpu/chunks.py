"""One thread pool for the kernels: rows in chunks, features in blocks, results independent of both."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from odkit.kernels.cpu.sizes import LEAST_ROWS, MOST_ROWS

__all__ = ["over_items", "over_rows"]

T = TypeVar("T")


def over_rows(task: Callable[[slice], object], n_rows: int, n_jobs: int = 1) -> None:
    """Run `task(rows)` for consecutive row slices that cover 0..n_rows, on n_jobs threads.

    The task must release the GIL to gain anything and write only to its own rows.
    """
    step = min(max(-(-n_rows // max(n_jobs, 1)), LEAST_ROWS), MOST_ROWS)
    over_items(task, [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)], n_jobs)


def over_items(task: Callable[[T], object], items: Iterable[T], n_jobs: int = 1) -> None:
    """Run `task(item)` for every item on n_jobs threads; the first error is raised after the running tasks end."""
    items = list(items)
    if n_jobs <= 1 or len(items) <= 1:
        for item in items:
            task(item)
        return
    with ThreadPoolExecutor(min(n_jobs, len(items))) as pool:
        for future in [pool.submit(task, item) for item in items]:
            future.result()
