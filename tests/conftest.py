"""Where the real data lives, and a small table that every test may use."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before numpy: workers share the cores, and their second threads only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

DATA_HOME = Path(os.environ.get("ODKIT_DATA_HOME", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder with the real data sets; tests that ask for it are skipped where it is absent."""
    if not (DATA_HOME / "MANIFEST.csv").exists():
        pytest.skip(f"no data sets at {DATA_HOME} (set ODKIT_DATA_HOME)")
    return DATA_HOME


@pytest.fixture
def table() -> np.ndarray:
    """200 rows x 4 columns of mixed shapes: normal, heavy-tailed, discrete, constant."""
    rng = np.random.default_rng(7)
    return np.column_stack(
        [rng.normal(size=200), rng.standard_t(2, size=200), rng.integers(0, 5, 200), np.full(200, 3.0)]
    )
