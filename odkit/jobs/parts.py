"""One part of a job, in this process or another: its rows are read, scored, written whole and noted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow
from pyarrow import compute, parquet

from odkit.jobs.manifest import Folder
from odkit.jobs.plan import Input, Part
from odkit.jobs.scorer import Scorer
from odkit.jobs.streams import Block, Stream

__all__ = ["Parts", "bytes_of"]

GROUP_ROWS = 1 << 18  # of a row group of a part, whatever the batch, so that equal jobs give equal bytes


class Parts:
    """What scores the parts of a job. Sent to another process, it does parts and reports no progress.

    Parameters
    ----------
    folder : Folder
    scorer : Scorer
    digest : identifies model and options, in the records of the parts
    batch : rows scored at once
    progress : called with rows and the bytes that they took of their file, after every batch
    """

    def __init__(
        self, folder: Folder, scorer: Scorer, *, digest: str, batch: int, progress: Callable[[int, float], None]
    ) -> None:
        self._folder, self._scorer, self._digest, self._batch = folder, scorer, digest, batch
        self._progress = progress

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_progress": _unheard}

    def blocks(self, stream: Stream, *, size: int | None = None, **options: Any) -> Iterator[Block]:
        """The rows of a file, in blocks of a batch or of another size."""
        columns = self._scorer.columns
        return stream.blocks(columns.names, self._scorer.keys, text=columns.text, size=size or self._batch, **options)

    def do_groups(self, entry: Input, part: Part, stream: Stream) -> dict[str, Any]:
        """Score the part of a file that can be read by itself."""
        return self.do(entry, part, self.blocks(stream, groups=part.groups))

    def do(
        self, entry: Input, part: Part, blocks: Iterable[Block], *, read: int | None = None, last: bool | None = None
    ) -> dict[str, Any]:
        """Score a part and write it and its record; what is wrong with its rows becomes a record too."""
        try:
            totals = self._write(entry, part, blocks, read)
        except ValueError as error:
            return self.note_failure(entry, part, error)
        proof = self._folder.proof(part.name)
        return self._note(entry, part, {"status": "done", **totals, **proof, "last": last})

    def _write(self, entry: Input, part: Part, blocks: Iterable[Block], read: int | None) -> dict[str, Any]:
        totals = {"rows": 0, "flagged": 0, "unscored": 0, "max_anomaly_score": None}
        text = [field.name for field in self._scorer.schema if pyarrow.types.is_string(field.type)]

        def tables() -> Iterator[pyarrow.Table]:
            for block in blocks:
                for start in range(0, len(block.frame), self._batch):
                    table = self._scorer.table(block.cut(start, self._batch), entry.name)
                    yield table
                    share = bytes_of(entry, len(table)) if read is None else read * len(table) / len(block.frame)
                    self._progress(len(table), share)

        with (
            self._folder.new_part(part.name) as file,
            # scores hardly repeat: a dictionary of them is tried, filled and thrown away
            parquet.ParquetWriter(file, self._scorer.schema, use_dictionary=text) as writer,
        ):
            for table in _regrouped(tables(), GROUP_ROWS):
                writer.write_table(table, GROUP_ROWS)
                _add(totals, table)
            if part.groups is not None and totals["rows"] != part.rows:
                raise ValueError(f"{entry.name} has changed while it was read: {totals['rows']} rows of {part.rows}")
        return totals

    def note_failure(self, entry: Input, part: Part, error: Exception) -> dict[str, Any]:
        """Write the record of a part that cannot be scored."""
        where = (
            f"rows from {part.start:,} on"
            if part.groups is None
            else f"rows {part.start:,} to {part.start + part.rows - 1:,}"
        )
        return self._note(entry, part, {"status": "failed", "error": f"{entry.name}, {where}: {error}"})

    def _note(self, entry: Input, part: Part, facts: dict[str, Any]) -> dict[str, Any]:
        record = {"input": [entry.size, entry.mtime_ns], "job": self._digest, "start": part.start, **facts}
        self._folder.write_record(part.name, record)
        return record


def bytes_of(entry: Input, rows: int) -> float:
    """The share that so many rows have in the bytes of their file."""
    return entry.size * rows / (entry.rows or 1)


def _unheard(rows: int, read: float) -> None:
    pass


def _regrouped(tables: Iterable[pyarrow.Table], size: int) -> Iterator[pyarrow.Table]:
    """The same rows in tables of exactly `size` rows, but for the last."""
    waiting: list[pyarrow.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(map(len, waiting)) >= size:
            joined = pyarrow.concat_tables(waiting)
            yield joined.slice(0, size).combine_chunks()
            waiting = [joined.slice(size)]
    if sum(map(len, waiting)):
        yield pyarrow.concat_tables(waiting).combine_chunks()


def _add(totals: dict[str, Any], table: pyarrow.Table) -> None:
    totals["rows"] += len(table)
    totals["flagged"] += compute.sum(table["is_outlier"], min_count=0).as_py()
    totals["unscored"] += table["anomaly_score"].null_count
    largest = compute.max(table["anomaly_score"]).as_py()
    if largest is not None:
        totals["max_anomaly_score"] = max(largest, totals["max_anomaly_score"] or largest)
