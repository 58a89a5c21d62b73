"""Files in pieces: rows come in blocks of bounded size, whatever the file holds.

Two kinds of file, one interface: `open_stream(path)` looks at a file and knows its columns; `blocks` goes through its
rows. Errors name the file, as those of `tables` do. A stream holds no open file; every call of `blocks` opens its own,
so that threads can read different parts of one file.
"""

import gzip
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd
import pyarrow
from pyarrow import parquet, types

from odkit.jobs.csv_files import csv_errors, csv_options
from odkit.jobs.formats import STREAMABLE, check_readable
from odkit.jobs.selection import check_unique
from odkit.jobs.tables import parquet_errors

__all__ = ["Block", "CsvStream", "ParquetStream", "Stream", "open_stream"]

CSV_CELLS = 1 << 23  # 64 MB of numbers
CSV_ROWS = 1 << 18


class Block(NamedTuple):
    """Consecutive rows of a file.

    Attributes
    ----------
    start : number of the first row in the file, from 0
    frame : the columns asked for; rows are labelled by their numbers in the file
    keys : the key columns asked for, as Arrow arrays: they are carried, not computed with
    read : for CSV files, the bytes that had been read when the block was complete
    """

    start: int
    frame: pd.DataFrame
    keys: dict[str, pyarrow.Array]
    read: int = 0

    def cut(self, start: int, rows: int) -> "Block":
        """The rows from the one at place `start` on, as many as there are up to `rows`."""
        keys = {name: values[start : start + rows] for name, values in self.keys.items()}
        return self._replace(start=self.start + start, frame=self.frame.iloc[start : start + rows], keys=keys)


class Stream(Protocol):
    """A file that can be read in blocks.

    Attributes
    ----------
    path : Path
    columns : list of str
    rows : number of rows, None where only reading tells
    piece : number of rows to read at once, None for files with parts of their own
    """

    path: Path
    columns: list[str]
    rows: int | None
    piece: int | None

    def odd(self, name: str) -> str | None:
        """What a column holds instead of numbers; None for numbers, and where only reading tells."""

    def key_type(self, name: str) -> pyarrow.DataType | None:
        """The type of a key column; None for CSV files, where it is what it is taken for."""

    def blocks(
        self, names: Sequence[str], keys: Sequence[str], *, text: Collection[str] = (), size: int, groups: Any = None
    ) -> Iterator[Block]:
        """Blocks of at most `size` rows with these columns, in order; `text` names those that are read as text."""


def open_stream(path: Path, *, delimiter: str | None = None, header: bool = True) -> Stream:
    """Look at a file; a ValueError or FileNotFoundError says what is wrong with it."""
    if check_readable(path, STREAMABLE) == ".parquet":
        return ParquetStream(path)
    return CsvStream(path, delimiter, header)


class ParquetStream:
    """A Parquet file; its row groups can be read apart.

    Attributes
    ----------
    groups : list of int
        Rows of each row group.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with parquet_errors(path), self._open() as file:
            schema, metadata = file.schema_arrow, file.metadata
            self.groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self.columns = list(schema.names)
        check_unique(path, self.columns)
        self.rows: int | None = metadata.num_rows
        self.piece: int | None = None
        self._types = dict(zip(schema.names, schema.types, strict=True))

    def odd(self, name: str) -> str | None:
        kind = self._types[name]
        numbers = (types.is_integer, types.is_floating, types.is_boolean, types.is_null)
        return None if any(is_number(kind) for is_number in numbers) else str(kind)

    def key_type(self, name: str) -> pyarrow.DataType:
        kind = self._types[name]
        return pyarrow.string() if types.is_large_string(kind) or types.is_string_view(kind) else kind

    def blocks(
        self,
        names: Sequence[str],
        keys: Sequence[str],
        *,
        text: Collection[str] = (),
        size: int,
        groups: Sequence[int] | None = None,
    ) -> Iterator[Block]:
        groups = range(len(self.groups)) if groups is None else groups
        start = sum(self.groups[: groups[0]]) if groups else 0
        with parquet_errors(self.path):
            file = self._open()
        with file:
            batches = file.iter_batches(size, row_groups=list(groups), columns=[*names, *keys], use_threads=False)
            while True:
                with parquet_errors(self.path):
                    batch = next(batches, None)
                if batch is None:
                    return
                # without split_blocks pandas copies the columns into one matrix
                frame = pyarrow.table(batch.select(names)).to_pandas(split_blocks=True, ignore_metadata=True)
                frame.index = pd.RangeIndex(start, start + len(frame))
                yield Block(start, frame, {name: batch.column(name) for name in keys})
                start += len(frame)

    def _open(self) -> parquet.ParquetFile:
        # only with these two memory depends on the batch and not on the row group; every column has a buffer, and
        # larger ones make nothing faster
        return parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 16)


class CsvStream:
    """A CSV file, plain or gzip; it can only be read from its beginning."""

    def __init__(self, path: Path, delimiter: str | None, header: bool) -> None:
        self.path = path
        self._delimiter, self._header = delimiter, header
        with csv_errors(path):
            self.columns, options = csv_options(path, (), (), delimiter, header)
            self.rows = 0 if pd.read_csv(path, nrows=1, **options).empty else None
        # 262,144 rows, or the power of two that holds 64 MB of numbers
        self.piece: int | None = min(CSV_ROWS, 1 << (max(CSV_CELLS // len(self.columns), 1).bit_length() - 1))

    def odd(self, name: str) -> str | None:
        return None

    def key_type(self, name: str) -> None:
        return None

    def blocks(
        self, names: Sequence[str], keys: Sequence[str], *, text: Collection[str] = (), size: int, groups: Any = None
    ) -> Iterator[Block]:
        start = 0
        with open(self.path, "rb") as raw:
            zipped = self.path.name.lower().endswith(".gz")
            # every column is parsed: told to leave some out, pandas also overlooks lines that are too long
            with csv_errors(self.path):
                own, options = csv_options(self.path, text, keys, self._delimiter, self._header)
                file = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if zipped else raw
                frames = iter(pd.read_csv(file, chunksize=size, **options))
            while True:
                with csv_errors(self.path):
                    frame = next(frames, None)
                if frame is None:
                    return
                if frame.empty:
                    continue
                frame.columns = own
                carried = {name: pyarrow.array(frame[name], pyarrow.string(), from_pandas=True) for name in keys}
                yield Block(start, frame[list(names)], carried, raw.tell())
                start += len(frame)
