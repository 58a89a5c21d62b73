"""The stories about images run, without data from anywhere, and say what is missing where they need more."""

import re
import runpy
import sys
from pathlib import Path

import pytest

Image = pytest.importorskip("PIL.Image")

EXAMPLES = Path(__file__).parents[2] / "examples"


def told(monkeypatch, capsys, name: str, *arguments) -> str:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_heat_maps(monkeypatch, capsys, tmp_path):
    said = told(monkeypatch, capsys, "60_magnetic_tiles.py", tmp_path / "gallery.png")
    found, defects = map(int, re.search(r"(\d+) of (\d+) defects flagged", said).groups())
    assert found >= 0.7 * defects
    assert Image.open(tmp_path / "gallery.png").size[1] > 400


def test_missing_tiles_are_named(monkeypatch, capsys, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setenv("ODKIT_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "path", sys.path[:])
    with pytest.raises(SystemExit, match=r"60_magnetic_tiles: .*set ODKIT_DATA_HOME"):
        told(monkeypatch, capsys, "60_magnetic_tiles.py", "--tiles")
