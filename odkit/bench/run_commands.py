"""`odkit bench configs`, `plan` and `run`: what would run, and running it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from odkit.bench.own_classes import find_own_classes
from odkit.bench.terminal import ConfigArgument, DataOption, OnlyOption, show_table, told

__all__ = ["configs", "plan", "run"]


def configs() -> None:
    """Names of the bundled configurations."""
    from odkit.bench.config import bundled

    typer.echo("\n".join(bundled()))


def plan(config: ConfigArgument, only: OnlyOption = None, data: DataOption = None) -> None:
    """List the cells that `run` would run, and those that cannot run here."""
    from odkit.bench.config import load_config
    from odkit.bench.plan import describe, make_plan

    with told():
        parsed, _ = load_config(config)
        find_own_classes(config)
        made = make_plan(parsed, only=only or (), data_home=data)
    rows = [describe(cell) for cell in made.cells]
    shown = ("dataset", "detector", "version", "seed", "protocol")
    show_table([{"cell": row["cell_id"][:12], **{name: row[name] for name in shown}} for row in rows])
    _tell_absent({cell.contestant.id: cell.contestant.missing for cell in made.cells if cell.contestant.missing})
    typer.echo(f"{len(rows)} cells, suite {made.suite}, suite sha {made.suite_sha[:12]}, run {made.run_id}")


def run(
    config: ConfigArgument,
    run_dir: Annotated[Path, typer.Option(help="Run folder; the same command again continues it.")],
    jobs: Annotated[int, typer.Option(help="Processes at a time.")] = 1,
    timeout: Annotated[float | None, typer.Option(help="Seconds per cell, instead of the configuration's.")] = None,
    mem: Annotated[str | None, typer.Option(help="Memory per cell, such as 4G or 900M.")] = None,
    only: OnlyOption = None,
    retry: Annotated[str, typer.Option(help="Statuses to run again, such as timeout,crash.")] = "",
    data: DataOption = None,
    strict: Annotated[bool, typer.Option(help="Exit code 3 if a planned cell has failed, now or before.")] = False,
) -> None:
    """Run every cell that has no result yet; the same command resumes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from odkit.bench.config import load_config, with_limits
    from odkit.bench.run import run as run_cells

    with told():
        parsed, text = load_config(config)
        find_own_classes(config)
        parsed = with_limits(parsed, timeout_s=timeout, memory_mb=None if mem is None else _megabytes(mem))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("cells", total=None)

            def show(record: dict[str, Any], done: int, total: int) -> None:
                words = f"{record['dataset']} {record['detector']} {record['status']}"
                bar.update(task, completed=done, total=total, description=words)
                if record["status"] not in ("ok", "skipped"):
                    bar.console.print(f"{words}: {record.get('error_type') or ''}", highlight=False)

            summary = run_cells(
                parsed, text, run_dir, jobs=jobs, only=only or (), data_home=data, progress=show,
                retry=[name for name in retry.split(",") if name],
            )  # fmt: skip
    counts = ", ".join(f"{n} {status}" for status, n in sorted(summary.statuses.items())) or "nothing to run"
    typer.echo(f"{summary.planned} cells planned, {summary.resumed} were finished; {counts}")
    if summary.measured:
        typer.echo(f"{summary.measured} metric values computed from stored scores")
    _tell_absent(summary.absent)
    if strict and (summary.failed or summary.absent):
        raise typer.Exit(3)


def _tell_absent(reasons: dict[str, str]) -> None:
    for detector, reason in reasons.items():
        typer.echo(f"{detector} {reason}", err=True)


def _megabytes(text: str) -> int:
    units = {"M": 1, "G": 1024}
    number, unit = text[:-1], text[-1:].upper()
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise ValueError(f"--mem {text!r}: write a number and M or G, such as 900M or 4G")
    return int(float(number) * units[unit])
