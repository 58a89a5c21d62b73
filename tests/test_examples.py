"""The stories about series run, where their data are, and end with the figures that they are about."""

import re
import runpy
import sys
from contextlib import suppress
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def told(monkeypatch, capsys, name: str, folder: Path) -> str:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", [name, str(folder)])
    with suppress(SystemExit):  # how they say that a file is absent
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    said = capsys.readouterr().out
    if said.startswith("skipped:"):
        pytest.skip(said.strip())
    return said


def test_intervals_of_a_benchmark_series(monkeypatch, capsys, tmp_path, data_home):
    said = told(monkeypatch, capsys, "40_nab_intervals.py", tmp_path)
    assert "events: Confusion(tp=1, fp=0, fn=0)" in said
    assert float(re.search(r"VUS-ROC (\S+),", said)[1]) > 0.95
    assert (tmp_path / "nab_jumpsup.png").stat().st_size > 5000


def test_telemetry_live_as_in_one_go(monkeypatch, capsys, tmp_path, data_home):
    said = told(monkeypatch, capsys, "41_smap_telemetry.py", tmp_path)
    assert float(re.search(r"MovingEnergy +F1 (\S+)", said)[1]) > 0.9
    assert float(re.search(r"differ by at most (\S+)", said)[1]) < 1e-12
    assert (tmp_path / "smap.png").stat().st_size > 5000
