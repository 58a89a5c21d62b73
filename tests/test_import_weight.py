"""Imports stay light: a process pays for what it uses. Each check runs in a process of its own."""

import os
import subprocess
import sys

import pytest

NEVER = ["numba", "torch", "dask", "pyod", "matplotlib", "plotly", "polars", "pyarrow"]
HEAVY = [*NEVER, "sklearn", "scipy", "pandas", "numpy"]


def loaded_by(code: str, cwd=None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import_odkit_loads_next_to_nothing():
    assert not loaded_by("import odkit") & set(HEAVY)


def test_public_names_load_without_optional_and_compiled_libraries():
    # scikit-learn loads pandas, which loads pyarrow, whoever imports it
    known = {"pyarrow"} if "pyarrow" in loaded_by("import sklearn.base") else set()
    code = "import odkit\nfor name in odkit.__all__: getattr(odkit, name)"
    assert not loaded_by(code) & (set(NEVER) - known)


@pytest.mark.parametrize("words", [["--help"], ["score", "--help"], ["--version"], ["detectors"]])
def test_light_commands_load_no_numbers(words):
    code = f"import sys; sys.argv = ['odkit', *{words!r}]\n"
    code += "from odkit.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded_by(code) & set(HEAVY)


def test_a_small_file_is_scored_without_the_compiler(tmp_path):
    rows = "".join(f"{i},{i % 7},{i * i % 11}\n" for i in range(500))
    (tmp_path / "small.csv").write_text("a,b,c\n" + rows)
    code = "import sys; sys.argv = ['odkit', 'score', 'small.csv', '--out', 'out.csv']\n"
    code += "from odkit.cli import main\ntry: main()\nexcept SystemExit as exit: assert not exit.code"
    assert not loaded_by(code, cwd=tmp_path) & {"numba", "torch", "polars", "matplotlib", "plotly", "dask", "pyod"}
    assert (tmp_path / "out.csv").exists()
