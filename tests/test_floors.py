"""The building keeps its floors: a file imports only from lower floors, never sideways between two detectors."""

import ast
from pathlib import Path

import odkit

ROOT = Path(odkit.__file__).parent

# first match decides; a folder's entry covers its files
FLOORS = {
    "cli": 6, "__main__": 6, "bench": 5, "jobs": 5, "report": 5, "adapters": 4.5,
    "frame": 4, "frame_kinds": 4, "explanations": 4, "metrics": 4, "datasets": 4, "model_file": 4, "installation": 4,
    "decide": 3, "detectors.consensus": 3, "detectors.mean_shift_scoring": 3, "detectors.portfolio": 3,
    "detectors": 2, "images": 2, "series": 2,
    "catalog": 1, "atomic": 1, "words": 1, "base": 1, "scores": 1, "mergeable": 1, "false_alarms": 1,
    "fences": 1, "fitted_gaussian": 1, "fitted_mixture": 1, "fitted_tails": 1, "neighbor_search": 1,
    "pages": 1, "reconstruction": 1, "_sklearn": 1,
    "nets": 1, "kernels": 0,
}  # fmt: skip
SIDEWAYS = {"kernels", "nets", "metrics", "datasets", "bench", "jobs", "report", "decide", "images", "series", "base"}
FOREIGN = {"sklearn", "pandas", "polars", "torch", "numba"}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _floor(module: str) -> float:
    for name, floor in FLOORS.items():
        if module == name or module.startswith(name + "."):
            return floor
    raise AssertionError(f"odkit.{module} stands on no floor: add it to FLOORS")


def _imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            folder = ROOT / Path(*node.module.split(".")[1:])
            for alias in node.names:  # `from package import module` names a file too
                is_file = (folder / f"{alias.name}.py").exists()
                yield f"{node.module}.{alias.name}" if is_file else node.module


def test_files_import_only_from_lower_floors():
    wrong = []
    for path in ROOT.rglob("*.py"):
        here = _module(path)
        if here in ("", "__init__"):
            continue
        for target in _imports(path):
            if not target.startswith("odkit"):
                continue
            there = target.removeprefix("odkit").lstrip(".")
            if there == "" or there == here:
                continue
            up = _floor(there) > _floor(here)
            side_door = there.startswith("adapters") and not here.startswith("adapters")
            sideways = _floor(there) == _floor(here) and (
                here.split(".")[0] != there.split(".")[0] or here.split(".")[0] not in SIDEWAYS
            )
            if up or side_door or (sideways and _floor(here) not in (1, 3, 4, 4.5, 5, 6)):
                wrong.append(f"{here} -> {there}")
    assert not wrong, "\n".join(wrong)


def test_the_ground_floor_knows_only_arrays():
    wrong = []
    for path in (ROOT / "kernels").rglob("*.py"):
        allowed = {"gpu": {"torch"}, "cpu": {"numba"}}.get(path.parent.name, set())
        strangers = (target for target in _imports(path) if target.split(".")[0] in FOREIGN - allowed)
        wrong += [f"{_module(path)} -> {target}" for target in strangers]
    assert not wrong, "\n".join(wrong)
