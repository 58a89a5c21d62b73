"""Counts under soft borders: both backends agree; tests/metrics/test_vus.py compares them with loops."""

import numpy as np
import pytest

from odkit.kernels.cpu.vus import vus_counts


@pytest.mark.parametrize("seed", range(6))
def test_vus_counts_twins_agree(call, seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(80) < [0.05, 0.3, 0.9][seed % 3]
    truth[:2] = [True, False]
    score = rng.integers(0, 20, 80).astype(float)
    for found, expected in zip(
        call("vus.vus_counts", truth, score, 9, 30), vus_counts(truth, score, 9, 30), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
