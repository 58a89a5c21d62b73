"""The recipes for Spark and Ray run, where these are installed (pip install 'odkit[spark]', 'odkit[ray]')."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "library"), [("80_spark.py", "pyspark"), ("81_ray.py", "ray")])
def test_a_recipe_fits_and_scores_as_one_process_does(name, library):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=300)
    if "skipped:" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "fitted on 20,000 rows in 4 parts" in done.stdout
    assert "scored 20,000 rows, as locally: True; the strangest is 777" in done.stdout
