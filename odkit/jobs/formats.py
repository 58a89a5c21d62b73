"""What the name of a file says: which formats can be read and written, and whether a path can be."""

import os
from collections.abc import Sequence
from pathlib import Path

from odkit.words import listed

__all__ = ["READABLE", "STREAMABLE", "WRITABLE", "check_output", "check_readable", "suffix_of"]

READABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz", ".npy")
WRITABLE = (".csv", ".csv.gz", ".parquet")
STREAMABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")  # what can be read in pieces


def check_output(path: str | os.PathLike, inputs: Sequence[str | os.PathLike], suffixes: Sequence[str]) -> None:
    """Raise, before any work is done, if a file cannot be written at `path` later.

    `suffixes` are those that the file may have; empty: any but those of tables.
    """
    target = Path(path)
    folder = target.resolve().parent
    if suffixes and suffix_of(target) not in suffixes:
        raise ValueError(f"cannot write {target.name}: its suffix must be one of {', '.join(suffixes)}")
    if not suffixes and suffix_of(target) in READABLE:
        raise ValueError(f"cannot write a model to {target.name}: that is the name of a table; use the suffix .odkit")
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {target}: there is no folder {folder}; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {target}: it is a folder; give the name of a file")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write {target}: the folder {folder} is not writable; choose another")
    if any(target.exists() and Path(source).exists() and target.samefile(source) for source in inputs):
        raise ValueError(f"cannot write {target}: it is also an input, which would be lost; choose another name")


def suffix_of(path: Path) -> str:
    """The suffix by which a file is read, such as .csv.gz; in lower case if it is one of ours."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(READABLE, key=len, reverse=True) if name.endswith(suffix)), path.suffix)


def check_readable(path: Path, suffixes: Sequence[str] = READABLE) -> str:
    """The suffix of a file that is there, is not empty and has one of these suffixes; otherwise an error."""
    if not path.exists():
        near = [other.name for other in path.parent.glob(f"{path.stem}*")] if path.parent.is_dir() else []
        raise FileNotFoundError(f"there is no file {path}" + (f"; there is {listed(sorted(near))}" if near else ""))
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; name the files in it, or score it into a folder: --model M --out FOLDER"
        )
    suffix = suffix_of(path)
    if suffix not in suffixes:
        raise ValueError(f"{path.name} cannot be read by its suffix; readable are {', '.join(suffixes)}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty: 0 bytes")
    return suffix
