"""Where the kernels run in tests: every test of twins takes its devices from here."""

import importlib.util

import pytest

__all__ = ["DEVICES", "TWINS"]


def _has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


_torch = pytest.param(
    "torch", marks=pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
)
_cuda = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not _has_cuda(), reason="no CUDA device")])

TWINS = [_torch, _cuda]  # torch's own cpu device runs the twins everywhere
DEVICES = ["cpu", *TWINS]
