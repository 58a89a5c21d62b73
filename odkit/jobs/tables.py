"""Files as tables and tables as files: the one place that knows formats.

Whoever scores a file sees `read` and `write` and pandas frames, never a format. `streams` goes through a large file in
pieces, with the options and the errors from here.
"""

import csv
import gzip
import os
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from odkit.atomic import whole_file
from odkit.words import listed

__all__ = [
    "Table",
    "check_output",
    "check_readable",
    "check_unique",
    "csv_errors",
    "csv_options",
    "parquet_errors",
    "read",
    "suffix_of",
    "write",
]

READABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz", ".npy")
WRITABLE = (".csv", ".csv.gz", ".parquet")

GAPS = (  # pandas' own words for a missing value
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)


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
        raise IsADirectoryError(f"{path} is a folder; name the files in it")
    suffix = suffix_of(path)
    if suffix not in suffixes:
        raise ValueError(f"{path.name} cannot be read by its suffix; readable are {', '.join(suffixes)}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty: 0 bytes")
    return suffix


def _read_one(path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool) -> Table:
    suffix = check_readable(path)
    if suffix == ".parquet":
        frame, beside = _read_parquet(path), list[str]()
    elif suffix in (".npz", ".npy"):
        frame, beside = _read_arrays(path)
    else:
        frame, beside = _read_csv(path, text, keys, delimiter, header), []
    names = frame.columns.tolist()
    check_unique(path, names)
    if frame.empty:
        raise ValueError(f"{path.name} has {len(names)} columns and no rows; there is nothing to learn or to score")
    return Table(frame, beside, [len(frame)])


def _read_csv(
    path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool
) -> pd.DataFrame:
    with csv_errors(path):
        names, options = csv_options(path, text, keys, delimiter, header)
        frame = pd.read_csv(path, **options)
    frame.columns = names
    return frame


def csv_options(
    path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool
) -> tuple[list[str], dict[str, Any]]:
    """The names of a CSV file's columns, and what to tell pandas so that it reads the file as `read` does."""
    if delimiter == "\\t":  # as it comes from a shell
        delimiter = "\t"
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"--delimiter {delimiter!r}: one character is needed, or \\t for the tab")
    options: dict[str, Any] = {"sep": delimiter or ("\t" if ".tsv" in suffix_of(path) else ","), "index_col": False}
    first = pd.read_csv(path, nrows=1, header=None, dtype=str, keep_default_na=False, **options)
    names = first.iloc[0].tolist() if header else [f"column_{j}" for j in range(first.shape[1])]
    if header:
        _check_header(path, names, options["sep"])
    check_unique(path, names)
    options["header"] = 0 if header else None
    labels = {name: name if header else position for position, name in enumerate(names)}
    options["dtype"] = {labels[name]: str for name in (*text, *keys) if name in names}
    if not labels.keys().isdisjoint(keys):
        options["keep_default_na"] = False
        options["na_values"] = {label: [""] if name in keys else GAPS for name, label in labels.items()}
    options["skip_blank_lines"] = len(names) > 1  # an empty line of a single column is a row with a gap
    options["low_memory"] = False  # one type per column, not one per piece of the file
    if int(pd.__version__.split(".")[0]) < 3:
        options["float_precision"] = "round_trip"  # later releases read floats exactly by themselves
    return names, options


@contextmanager
def csv_errors(path: Path) -> Iterator[None]:
    """What can be wrong with a CSV file, said in a sentence that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas cuts lines that are longer than the header
            yield
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name} is empty: no line with text in it") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"{path.name} is no well-formed CSV file: {reason}; mend or remove that line") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start}); convert it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is a damaged gzip file: {error}") from None


def check_unique(path: Path, names: Sequence[str]) -> None:
    """Raise ValueError if two columns of a file have one name."""
    repeated = [name for position, name in enumerate(names) if name in names[:position]]
    if repeated:
        raise ValueError(f"{path.name} has more than one column {repeated[0]!r}; rename one of them")


def _check_header(path: Path, names: list[str], delimiter: str) -> None:
    for other in (";", "\t", "|", ","):
        if len(names) == 1 and other != delimiter and other in names[0]:
            raise ValueError(
                f"{path.name} has one column, named {names[0][:60]!r}; if its fields are separated by {other!r}, "
                f"say --delimiter {'$' * (other == chr(9))}{other!r}"
            )
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"{path.name} begins with {', '.join(names[:4])}{', ...' * (len(names) > 4)}, which looks like a row and "
            "not like column names; say --no-header if it is one"
        )
    if "" in names:
        raise ValueError(f"{path.name}: column {names.index('') + 1} has no name; name it in the first line")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


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
        raise ValueError(f"{path.name} is no readable Parquet file: {str(error).splitlines()[0]}") from None


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
