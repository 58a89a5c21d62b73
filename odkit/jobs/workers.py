"""The parts of a job in threads: read, scored, written whole, noted; at most as many at a time as there are threads.

A `Job` can be sent to another process, where it does parts and counts nothing (`odkit.jobs.cluster`).
"""

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import pyarrow
from pyarrow import compute, parquet

from odkit.jobs.cluster import Cluster
from odkit.jobs.manifest import Folder
from odkit.jobs.plan import Input, Part
from odkit.jobs.scorer import Scorer
from odkit.jobs.signals import Stop
from odkit.jobs.streams import Block, Stream
from odkit.kernels.cpu import blas
from odkit.kernels.cpu.jit import NUMPY_CELLS

__all__ = ["Done", "Job", "JobResult"]

GROUP_ROWS = 1 << 18  # of a row group of a part, whatever the batch, so that equal jobs give equal bytes


class Done(NamedTuple):
    """How far a job is.

    Attributes
    ----------
    rows, new_rows : rows done, and those of them that this run did
    total_rows : rows in all; None where there are CSV files, which only reading counts
    share, new_share : the same as shares of the bytes of all files, 0 to 1
    seconds : since the run began
    """

    rows: int
    new_rows: int
    total_rows: int | None
    share: float
    new_share: float
    seconds: float


@dataclass
class JobResult:
    """What became of a job.

    Attributes
    ----------
    rows, flagged, unscored : rows in the folder, and how many of them are flagged or have no score
    parts : parts in the folder
    skipped : parts of them that earlier runs have made
    failed : what failed, as sentences; a folder with failures is not finished
    seconds : duration of this run
    signal : number of the signal that stopped it, or None
    """

    rows: int = 0
    flagged: int = 0
    unscored: int = 0
    parts: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    signal: int | None = None

    def count(self, record: dict[str, Any]) -> None:
        self.rows += record["rows"]
        self.flagged += record["flagged"]
        self.unscored += record["unscored"]
        self.parts += 1


class Progress:
    """Counts rows and bytes from all threads and tells one listener."""

    def __init__(self, plan: Sequence[Input], listener: Callable[[Done], None] | None) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._bytes = max(sum(max(entry.size, 0) for entry in plan), 1)
        known = [entry.rows for entry in plan if entry.rows is not None]
        self._total = sum(known) if len(known) == len(plan) else None
        self._rows = self._new_rows = 0
        self._read = self._new_read = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def add(self, rows: int, read: float, *, new: bool = True) -> None:
        """Rows that are done and the bytes that they took of their file."""
        with self._lock:
            self._rows += rows
            self._read += read
            if new:
                self._new_rows += rows
                self._new_read += read
            if self._listener is not None:
                shares = (self._read / self._bytes, self._new_read / self._bytes)
                self._listener(Done(self._rows, self._new_rows, self._total, *shares, self.seconds))


class Job:
    """One run over what is left to do of a plan.

    Parameters
    ----------
    folder : Folder, locked by this process
    scorer : Scorer
    plan, streams : the files and how to read them; None for those with a problem
    digest : identifies model and options: records of others do not count
    batch : rows scored at once
    keep_going : whether a failed part leaves the others to be done
    listener : called with a `Done` after every batch
    """

    def __init__(
        self,
        folder: Folder,
        scorer: Scorer,
        plan: Sequence[Input],
        streams: Sequence[Stream | None],
        *,
        digest: str,
        batch: int,
        keep_going: bool,
        listener: Callable[[Done], None] | None,
    ) -> None:
        self._folder, self._scorer, self._plan, self._streams = folder, scorer, plan, streams
        self._digest, self._batch, self._keep_going = digest, batch, keep_going
        self._progress = Progress(plan, listener)
        self._result = JobResult(failed=[f"{entry.name}: {entry.problem}" for entry in plan if entry.problem])
        self._done: dict[str, dict[str, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_progress", "_result", "_done")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._progress = Progress(self._plan, None)

    def run(self, workers: int, *, verify: bool, cluster: Cluster | None = None) -> JobResult:
        """Do what is not done, in threads or on a cluster; `verify` looks at every byte of what is."""
        self._done = {
            name: record for name, record in self._folder.records().items() if self._holds(name, record, verify)
        }
        self._result.skipped = len(self._done)
        for record in self._done.values():
            self._result.count(record)
        if sum(entry.size for entry in self._plan) >= NUMPY_CELLS:
            import_module("numba")  # here, lest all threads import it at once; a small job does without
        running: dict[Future, partial] = {}
        begun = False
        here = nullcontext(cluster) if cluster is not None else ThreadPoolExecutor(workers)
        if cluster is not None:
            cluster.share(self)
        with Stop() as stop, blas.one_thread(), here as pool, closing(self._tasks()) as tasks:
            for task in tasks:
                if len(running) >= workers:
                    self._collect(running, told=cluster is None)
                if stop.signal or (self._result.failed and not self._keep_going):
                    break
                if not begun:
                    self._folder.unfinish()
                    begun = True
                running[pool.submit(task)] = task
            while running:
                self._collect(running, told=cluster is None)
        self._result.signal, self._result.seconds = stop.signal, self._progress.seconds
        if not stop.signal and not self._result.failed:
            self._folder.write_success(
                {name: getattr(self._result, name) for name in ("rows", "parts", "flagged", "unscored")}
                | {"job": self._digest}
            )
        return self._result

    def _holds(self, name: str, record: dict[str, Any], verify: bool) -> bool:
        entry = self._plan[int(name.partition("-")[0])]
        return (
            record["status"] == "done"
            and record["job"] == self._digest
            and record["input"] == [entry.size, entry.mtime_ns]
            and self._folder.holds(name, record, verify=verify)
        )

    def _tasks(self) -> Generator[partial[dict[str, Any]], None, None]:
        for entry, stream in zip(self._plan, self._streams, strict=True):
            if stream is None:
                continue
            if entry.piece is not None:
                yield from self._csv_tasks(entry, stream)
                continue
            for part in entry.parts:
                if part.name in self._done:
                    self._progress.add(part.rows, self._bytes_of(entry, part.rows), new=False)
                else:
                    yield partial(self._do_groups, entry, part, stream)

    def _csv_tasks(self, entry: Input, stream: Stream) -> Iterator[partial[dict[str, Any]]]:
        """Parts of a file that only this thread reads, from its beginning."""
        names = (entry.csv_part(piece).name for piece in itertools.count())
        first = [self._done[name] for name in itertools.takewhile(self._done.__contains__, names)]
        if first and first[-1]["last"]:
            self._progress.add(sum(record["rows"] for record in first), entry.size, new=False)
            return
        blocks = self._blocks(stream, size=entry.piece)
        before, (block, error) = 0, _next(blocks)
        for piece in itertools.count():
            part = entry.csv_part(piece)
            if error is not None:
                yield partial(self._note_failure, entry, part, error)
            if block is None:
                return
            after, error = _next(blocks)
            last = after is None and error is None
            read, before = block.read - before, block.read
            if part.name in self._done:
                self._progress.add(len(block.frame), read, new=False)
            else:
                yield partial(self._do, entry, part, [block], read=read, last=last)
            block = after

    def _blocks(self, stream: Stream, *, size: int | None = None, **options: Any) -> Iterator[Block]:
        columns = self._scorer.columns
        return stream.blocks(columns.names, self._scorer.keys, text=columns.text, size=size or self._batch, **options)

    def _collect(self, running: dict[Future, partial], *, told: bool) -> None:
        """Wait until a part is finished; an error that is not the part's own is raised.

        `told`: the part has reported its progress by itself, because it was done in this process.
        """
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            task, record = running.pop(future), future.result()
            if record["status"] != "done":
                self._result.failed.append(record["error"])
                continue
            self._result.count(record)
            if not told:
                read = task.keywords.get("read")
                self._progress.add(
                    record["rows"], self._bytes_of(task.args[0], record["rows"]) if read is None else read
                )

    def _do_groups(self, entry: Input, part: Part, stream: Stream) -> dict[str, Any]:
        return self._do(entry, part, self._blocks(stream, groups=part.groups))

    def _do(
        self, entry: Input, part: Part, blocks: Iterable[Block], *, read: int | None = None, last: bool | None = None
    ) -> dict[str, Any]:
        """Score a part and write it and its record; what is wrong with its rows becomes a record too."""
        try:
            totals = self._write(entry, part, blocks, read)
        except ValueError as error:
            return self._note_failure(entry, part, error)
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
                    share = self._bytes_of(entry, len(table)) if read is None else read * len(table) / len(block.frame)
                    self._progress.add(len(table), share)

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

    def _bytes_of(self, entry: Input, rows: int) -> float:
        return entry.size * rows / (entry.rows or 1)

    def _note_failure(self, entry: Input, part: Part, error: Exception) -> dict[str, Any]:
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


def _next(blocks: Iterator[Block]) -> tuple[Block | None, Exception | None]:
    try:
        return next(blocks, None), None
    except (ValueError, OSError) as error:
        return None, error


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
