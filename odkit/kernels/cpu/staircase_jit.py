"""Jitted loop of `staircase.py`: which steps stay, and how high they are."""

from odkit.kernels.cpu import staircase
from odkit.kernels.cpu.jit import njit

__all__ = ["walk"]

walk = njit(staircase.walk)
