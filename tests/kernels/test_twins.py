"""Kernels with twins on both backends: the same modules, names and signatures."""

import inspect
from importlib import import_module

import pytest

MODULES = ["autoregression", "energy", "matrix_profile", "mean_shift", "polynomial", "reconstruction", "threshold",
           "vus", "windows"]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_the_twins_have_the_same_names_and_signatures(module):
    pytest.importorskip("torch")
    cpu, gpu = (import_module(f"odkit.kernels.{side}.{module}") for side in ("cpu", "gpu"))
    assert cpu.__all__ == gpu.__all__
    for name in cpu.__all__:
        if not callable(getattr(cpu, name)):
            assert getattr(cpu, name) == getattr(gpu, name), name
            continue
        ours, twin = (inspect.signature(getattr(each, name)).parameters for each in (cpu, gpu))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in twin.values()], name
