"""How far long work is, on stderr: a bar where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from odkit.words import printable

if TYPE_CHECKING:  # a reporter is made before what scoring needs is imported
    from odkit.jobs.progress import Done

__all__ = ["job_progress", "progress"]

SECONDS_PER_LINE = 10.0


@contextmanager
def job_progress() -> Iterator[Callable[["Done"], None]]:
    """A reporter for jobs on stderr: a bar with rows, rows per second and time left; no terminal, a line every 10 s."""
    if not sys.stderr.isatty():
        said = [0.0]

        def line(done: "Done") -> None:
            if done.seconds - said[0] >= SECONDS_PER_LINE:
                said[0] = done.seconds
                print(f"{done.share:.0%}, {_pace(done)}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done.share, description=_pace(done))


def _pace(done: "Done") -> str:
    rows = f"{done.rows:,}" + (f" of {done.total_rows:,}" if done.total_rows is not None else "") + " rows"
    if not done.new_share:
        return rows
    left = round((1 - done.share) / done.new_share * done.seconds)
    return f"{rows}, {done.new_rows / max(done.seconds, 1e-9):,.0f} a second, {left // 60}:{left % 60:02d} left"


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A reporter for long work: a bar on stderr where that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=printable(what), completed=done, total=total or None)

        yield report
