"""Kernels on numpy and numba."""
