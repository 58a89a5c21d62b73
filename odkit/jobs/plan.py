"""Which rows make a part: decided once from what the files say about themselves, the same at every start.

A part is one output file: a run of row groups of a Parquet file, or of rows of a CSV file, never of two files. Its name
tells the place of its rows among all (file, then piece of the file), so that the names of the parts in their order are
the rows in theirs, and whatever is repaired and scored again keeps its place.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from odkit.jobs.streams import ParquetStream, Stream

__all__ = ["PART_NAME", "Input", "Part", "owner", "survey"]

PART_ROWS = 1 << 18  # small row groups are joined until there are as many
PART_NAME = re.compile(r"(\d{5,})-(\d{5,})-[0-9a-f]{8}")


@dataclass(frozen=True)
class Part:
    """Rows of one file.

    Attributes
    ----------
    name : file number, piece number and eight digits that depend on the file's name and size and on the rows
    start : number of the first row in the file
    rows : how many; of a CSV file at most
    groups : its row groups; None for CSV
    """

    name: str
    start: int
    rows: int
    groups: range | None


@dataclass(frozen=True)
class Input:
    """A file as it was when the job was planned.

    Attributes
    ----------
    number : its place among the files
    name : short name, see `inputs.relative`
    size, mtime_ns : what tells that it has changed; -1 where it could not be asked
    rows : None where only reading tells
    groups : rows of each row group; None for CSV
    piece : rows of a part of a CSV file
    problem : why it cannot be scored, if so
    """

    number: int
    name: str
    size: int
    mtime_ns: int
    rows: int | None = None
    groups: tuple[int, ...] | None = None
    piece: int | None = None
    problem: str | None = None

    @cached_property
    def parts(self) -> list[Part]:
        """The parts of a Parquet file."""
        parts: list[Part] = []
        first = start = rows = 0
        for i, size in enumerate(self.groups or ()):
            rows += size
            if rows >= PART_ROWS or (i + 1 == len(self.groups or ()) and rows):
                parts.append(self._part(len(parts), start, rows, range(first, i + 1)))
                first, start, rows = i + 1, start + rows, 0
        return parts

    def csv_part(self, piece: int) -> Part:
        """A part of a CSV file, whether there is such a part or not."""
        rows = self.piece or 0
        return self._part(piece, piece * rows, rows, None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        groups = stored["groups"]
        return cls(**{**stored, "groups": None if groups is None else tuple(groups)})

    def _part(self, piece: int, start: int, rows: int, groups: range | None) -> Part:
        digits = hashlib.sha256(f"{self.name}\n{self.size}\n{start}\n{rows}".encode()).hexdigest()[:8]
        return Part(f"{self.number:05d}-{piece:05d}-{digits}", start, rows, groups)


def survey(
    files: Sequence[Path],
    names: Sequence[str],
    open_file: Callable[[Path], Stream],
    check: Callable[[Stream], None],
) -> tuple[list[Input], list[Stream | None]]:
    """Look at the files; what is wrong with one is written into its entry, and it has no stream."""
    looked = [_look(number, *file, open_file, check) for number, file in enumerate(zip(files, names, strict=True))]
    return [entry for entry, _ in looked], [stream for _, stream in looked]


def owner(name: str, inputs: Sequence[Input]) -> Input | None:
    """The file to which the part of this name belongs; None if it belongs to another job."""
    fits = PART_NAME.fullmatch(name)
    if fits is None or int(fits[1]) >= len(inputs):
        return None
    mine = inputs[int(fits[1])]
    piece = int(fits[2])
    known = [mine.csv_part(piece)] if mine.piece else mine.parts[piece : piece + 1]
    return mine if name in [part.name for part in known] else None


def _look(
    number: int, path: Path, name: str, open_file: Callable[[Path], Stream], check: Callable[[Stream], None]
) -> tuple[Input, Stream | None]:
    entry = Input(number, name, -1, -1)
    try:
        stat = path.stat()
        entry = replace(entry, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
        stream = open_file(path)
        check(stream)
    except (ValueError, OSError) as error:
        return replace(entry, problem=str(error)), None
    if isinstance(stream, ParquetStream):
        return replace(entry, rows=stream.rows, groups=tuple(stream.groups)), stream
    return replace(entry, rows=stream.rows, piece=stream.piece), stream
