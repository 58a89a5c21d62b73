"""How odkit compiles: one decorator, one rule for when compiling pays.

A process pays about two seconds of CPU before its first numba kernel runs, disk cache or not. Every jitted function
therefore lives in a file of its own (`ecdf_jit.py` beside `ecdf.py`) that `compiled` imports on first need, and the
numpy twin beside it, which gives the same bits, serves small work in a process that has not paid yet.
"""

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from odkit.kernels.cpu.sizes import NUMPY_CELLS

__all__ = ["NUMPY_CELLS", "compiled", "njit"]


def njit(function: Callable, *, fastmath: Any = False) -> Callable:
    """numba's njit with the options of the house: cached on disk, without the GIL, lazy signatures.

    `fastmath` is a set of LLVM flags that leave NaN alone ("reassoc", "contract"), where a figure says it pays.
    Where no folder for the cache is writable numba refuses to decorate; then the function is compiled per process.
    """
    import numba

    try:
        return numba.njit(cache=True, nogil=True, fastmath=fastmath)(function)
    except RuntimeError as error:
        logging.getLogger("odkit").info("%s: compiled without a disk cache: %s", function.__name__, error)
        return numba.njit(nogil=True, fastmath=fastmath)(function)


def compiled(module: str, cells: float) -> ModuleType | Any | None:
    """The jitted module, or None when `cells` table cells are cheaper in numpy than in loading numba."""
    if cells < NUMPY_CELLS and "numba" not in sys.modules:
        return None
    return import_module(module)
