"""Files as tables and tables as files: whoever scores a file sees `read` and `write` and pandas frames, no format.

`odkit.jobs.streams` goes through a large file in pieces, with the same options and errors.
"""

import gzip
import os
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from odkit.atomic import whole_file
from odkit.jobs.csv_files import read_csv
from odkit.jobs.formats import check_readable, suffix_of
from odkit.jobs.selection import check_unique
from odkit.words import listed

__all__ = ["Table", "parquet_errors", "read", "write"]


class Table(NamedTuple):
    """What files held: `beside` names the columns that are no features unless asked for, `sizes` the rows per file."""

    frame: pd.DataFrame
    beside: list[str]
    sizes: list[int]


def read(
    paths: Sequence[str | os.PathLike],
    *,
    text: Collection[str] = (),
    keys: Collection[str] = (),
    delimiter: str | None = None,
    header: bool = True,
) -> Table:
    """Read files of equal columns as one table, in the order given.

    Parameters
    ----------
    paths : CSV (plain or gzip), Parquet, npz or npy files
        The rows of an npz file are the array `X`, or its only two-dimensional array; vectors of the same length come
        as columns of their own, beside the features. Arrays have no column names: `column_0`, `column_1`, ...
    text : names of CSV columns to take as text, whatever they look like, so that 007 stays 007
    keys : names of CSV columns that name rows: text to the letter, so that the key NA stays NA
    delimiter : separator of CSV fields; default: the comma, for .tsv files the tab
    header : bool, default=True
        False: the first line of a CSV file is a row, and columns are named as those of an array.

    Raises
    ------
    FileNotFoundError, ValueError
        The message names the file and what is wrong with it.
    """
    real = [os.path.realpath(path) for path in paths]
    twice = next((path for path, place in zip(paths, real, strict=True) if real.count(place) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice; its rows would be there twice")
    tables = [_read_one(Path(path), text, keys, delimiter, header) for path in paths]
    first = tables[0].frame.columns
    for path, table in zip(paths, tables, strict=True):
        if set(table.frame.columns) != set(first):
            odd = sorted(set(table.frame.columns) ^ set(first), key=str)
            raise ValueError(
                f"{Path(path).name} has not the columns of {Path(paths[0]).name}: {listed(odd)} "
                f"{'is' if len(odd) == 1 else 'are'} in one of them only; score files of different columns one by one"
            )
    if len(tables) == 1:
        return tables[0]
    frame = pd.concat([table.frame[first] for table in tables], ignore_index=True)
    beside = [name for name in first if any(name in table.beside for table in tables)]
    return Table(frame, beside, [len(table.frame) for table in tables])


def write(frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write a frame as CSV or Parquet, by the suffix; the file appears whole or not at all. The index is left out.

    Numbers are written so that reading them gives the same bits; equal frames give equal bytes.
    """
    suffix = suffix_of(Path(path))
    with whole_file(path) as file:
        if suffix == ".parquet":
            frame.to_parquet(file, index=False)
        elif suffix == ".csv.gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as zipped:
                frame.to_csv(zipped, index=False)
        else:
            frame.to_csv(file, index=False)


def _read_one(path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool) -> Table:
    suffix = check_readable(path)
    if suffix == ".parquet":
        frame, beside = _read_parquet(path), list[str]()
    elif suffix in (".npz", ".npy"):
        frame, beside = _read_arrays(path)
    else:
        frame, beside = read_csv(path, text, keys, delimiter, header), []
    names = frame.columns.tolist()
    check_unique(path, names)
    if frame.empty:
        raise ValueError(f"{path.name} has {len(names)} columns and no rows; there is nothing to learn or to score")
    return Table(frame, beside, [len(frame)])


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    with parquet_errors(path):
        # index columns that pandas has stored are ordinary columns here
        return parquet.ParquetFile(path).read().to_pandas(ignore_metadata=True)


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """What can be wrong with a Parquet file, said in a sentence that names the file."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} is no readable Parquet file: {str(error).splitlines()[0].rstrip('.')}") from None


def _read_arrays(path: Path) -> tuple[pd.DataFrame, list[str]]:
    try:
        stored = np.load(path, allow_pickle=False)
        arrays = {"X": stored} if isinstance(stored, np.ndarray) else {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} is no readable file of numpy arrays: {str(error).splitlines()[0]}") from None
    tables = {name for name, array in arrays.items() if array.ndim == 2}
    name = "X" if "X" in arrays else next(iter(tables)) if len(tables) == 1 else None
    if name is None or arrays[name].ndim != 2:
        shapes = ", ".join(f"{each} {array.shape}" for each, array in sorted(arrays.items()))
        raise ValueError(f"{path.name} needs an array X of rows and columns; it has {shapes or 'no array'}")
    rows = arrays[name]
    frame = pd.DataFrame(rows, columns=[f"column_{j}" for j in range(rows.shape[1])])
    beside = [
        each
        for each, array in sorted(arrays.items())
        if array.shape == (len(rows),) and each != name and each not in frame.columns
    ]
    return frame.assign(**{each: arrays[each] for each in beside}), beside
