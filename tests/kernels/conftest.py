"""Kernels on both backends, numpy in and numpy out."""

import numpy as np
import pytest

from odkit import kernels
from tests.devices import DEVICES


@pytest.fixture(params=DEVICES)
def call(request):
    """`call("energy.moving_energy", ...)` runs that kernel on either backend."""
    k = kernels.on(request.param)

    def run(name, *args, **kwargs):
        module, function = name.split(".")
        args = [k.array(a) if isinstance(a, np.ndarray) else a for a in args]
        out = getattr(getattr(k, module), function)(*args, **kwargs)
        if isinstance(out, tuple):
            return tuple(k.numpy(part) for part in out)
        return out if isinstance(out, float) else k.numpy(out)

    return run
