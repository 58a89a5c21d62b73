"""The parts of a job in threads, or on a cluster: at most as many at a time as there are threads."""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from odkit.jobs.cluster import Cluster
from odkit.jobs.manifest import Folder
from odkit.jobs.parts import Parts, bytes_of
from odkit.jobs.plan import Input
from odkit.jobs.progress import Done, Tally
from odkit.jobs.scorer import Scorer
from odkit.jobs.signals import Stop
from odkit.jobs.streams import Block, Stream
from odkit.kernels.cpu import blas
from odkit.kernels.cpu.jit import NUMPY_CELLS

__all__ = ["Job", "JobResult"]


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
        self._folder, self._plan, self._streams = folder, plan, streams
        self._digest, self._keep_going = digest, keep_going
        self._progress = Tally(plan, listener)
        self._parts = Parts(folder, scorer, digest=digest, batch=batch, progress=self._progress.add)
        self._result = JobResult(failed=[f"{entry.name}: {entry.problem}" for entry in plan if entry.problem])
        self._done: dict[str, dict[str, Any]] = {}

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
            cluster.share(self._parts)
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
                    self._progress.add(part.rows, bytes_of(entry, part.rows), new=False)
                else:
                    yield partial(self._parts.do_groups, entry, part, stream)

    def _csv_tasks(self, entry: Input, stream: Stream) -> Iterator[partial[dict[str, Any]]]:
        """Parts of a file that only this thread reads, from its beginning."""
        names = (entry.csv_part(piece).name for piece in itertools.count())
        first = [self._done[name] for name in itertools.takewhile(self._done.__contains__, names)]
        if first and first[-1]["last"]:
            self._progress.add(sum(record["rows"] for record in first), entry.size, new=False)
            return
        blocks = self._parts.blocks(stream, size=entry.piece)
        before, (block, error) = 0, _next(blocks)
        for piece in itertools.count():
            part = entry.csv_part(piece)
            if error is not None:
                yield partial(self._parts.note_failure, entry, part, error)
            if block is None:
                return
            after, error = _next(blocks)
            last = after is None and error is None
            read, before = block.read - before, block.read
            if part.name in self._done:
                self._progress.add(len(block.frame), read, new=False)
            else:
                yield partial(self._parts.do, entry, part, [block], read=read, last=last)
            block = after

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
                self._progress.add(record["rows"], bytes_of(task.args[0], record["rows"]) if read is None else read)


def _next(blocks: Iterator[Block]) -> tuple[Block | None, Exception | None]:
    try:
        return next(blocks, None), None
    except (ValueError, OSError) as error:
        return None, error
