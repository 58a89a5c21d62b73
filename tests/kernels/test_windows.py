"""Values of windows on the time axis against a loop, on both backends."""

import numpy as np
import pytest

from odkit.kernels.cpu import windows
from odkit.series.windows import window_starts
from tests import naive


@pytest.mark.parametrize("how", ["mean", "median", "max"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize(
    ("n", "window", "stride"), [(6, 3, 1), (30, 7, 1), (30, 7, 3), (31, 4, 4), (9, 9, 1), (5, 1, 1)]
)
def test_unroll(call, how, per_step, n, window, stride):
    starts = window_starts(n, window, stride)
    values = np.random.default_rng(n).integers(0, 9, (len(starts), window) if per_step else len(starts)).astype(float)
    found = call("windows.unroll", values, starts, n, window, how)
    np.testing.assert_allclose(found, naive.unroll(values, starts, n, window, how), rtol=1e-12)


def test_unroll_median_in_numpy_and_numba_and_in_chunks(monkeypatch):
    values = np.random.default_rng(0).normal(size=300).round(1)
    starts = np.arange(300)
    expected = naive.unroll(values, starts, 320, 21, "median")
    np.testing.assert_array_equal(windows.unroll(values, starts, 320, 21, "median"), expected)
    monkeypatch.setattr(windows, "compiled", lambda module, cells: None)
    monkeypatch.setattr(windows, "_CELLS", 100)
    np.testing.assert_array_equal(windows.unroll(values, starts, 320, 21, "median"), expected)
