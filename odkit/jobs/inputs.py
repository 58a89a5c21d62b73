"""The files of a job: names of files, folders and patterns as one list, always in the same order."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from odkit.jobs.formats import STREAMABLE, suffix_of
from odkit.words import listed

__all__ = ["expand", "relative"]


def expand(given: Sequence[str | os.PathLike]) -> list[Path]:
    """The files that are meant, in the order given; those of a folder or pattern sorted by path.

    Of a folder all files are taken, those of its folders too, but for names that begin with `_` or `.`, which every
    reader of partitioned data takes for notes. What else is in there is an error: silence would lose rows.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing to read, something that cannot be read, or a file is named twice.
    """
    files = [file for each in given for file in _files(str(each))]
    seen: dict[str, Path] = {}
    for file in files:
        real = os.path.realpath(file)
        if real in seen:
            raise ValueError(f"{file} is named twice (as {seen[real]} too); its rows would be there twice")
        seen[real] = file
    return files


def relative(files: Sequence[Path]) -> list[str]:
    """Short names that tell the files apart: paths below the deepest folder that holds them all, with slashes."""
    whole = [Path(os.path.abspath(file)) for file in files]
    root = os.path.commonpath([file.parent for file in whole])
    return [file.relative_to(root).as_posix() for file in whole]


def _files(given: str) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        return _of_folder(path)
    if path.exists() or not glob.has_magic(given):
        return [path]
    found = sorted(Path(name) for name in glob.glob(given, recursive=True))
    found = [file for file in found if not file.is_dir()]
    if not found:
        raise FileNotFoundError(f"no file fits the pattern {given}")
    return found


def _of_folder(folder: Path) -> list[Path]:
    inside = [file for file in sorted(folder.rglob("*")) if not file.is_dir()]
    visible = [file for file in inside if not any(part[0] in "_." for part in file.relative_to(folder).parts)]
    strange = [str(file.relative_to(folder)) for file in visible if suffix_of(file) not in STREAMABLE]
    if strange:
        raise ValueError(
            f"the folder {folder} holds {listed(strange)}, which cannot be read in pieces; move it, or give a pattern "
            f"such as '{folder}/*.parquet'"
        )
    if not visible:
        raise FileNotFoundError(f"the folder {folder} holds no file to read ({', '.join(STREAMABLE)})")
    return visible
