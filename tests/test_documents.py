"""What the documents and messages name is there: links, odkit's modules and functions, commands of benchmarks."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "datasets" / "README.md"]
SOURCES = [*PAGES, *sorted((ROOT / "odkit").rglob("*.py"))]
PLACEHOLDERS = {"odkit.kernels.cpu.name"}  # of docs/add-a-detector.md
NO_NAMES = {"odkit.log"}  # a file in the example of a cron job


def exists(name: str) -> bool:
    parts = name.split(".")
    found = import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        if hasattr(found, part):
            found = getattr(found, part)
            continue
        try:
            found = import_module(".".join(parts[:i]))
        except ModuleNotFoundError as error:
            return not str(error.name).startswith("odkit")  # its optional library is not installed
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    assert [name for name in targets if "://" not in name and not (page.parent / name).exists()] == []


def test_dotted_names_are_there():
    named = {name for path in SOURCES for name in re.findall(r"\bodkit(?:\.[A-Za-z_]\w*)+", path.read_text())}
    assert len(named) > 100
    assert sorted(name for name in named - PLACEHOLDERS - NO_NAMES if not exists(name)) == []


def test_commands_of_benchmarks_are_there():
    modules = {name for page in PAGES for name in re.findall(r"-m (benchmarks(?:\.\w+)+)", page.read_text())}
    assert len(modules) > 10
    assert sorted(name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()) == []
