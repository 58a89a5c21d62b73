"""`odkit bench ...`: the harness on the command line. No logic here but reading arguments and printing tables.

Exit codes: 0 done, 1 regression found by `compare`, 2 bad configuration or folder, 3 finished with failed cells under
`--strict`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Compare detectors on data sets under one stated protocol."
)

ConfigArgument = Annotated[str, typer.Argument(help="A bundled configuration's name, or a .yaml or .toml file.")]
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]
OnlyOption = Annotated[list[str] | None, typer.Option(help="det=PATTERN or ds=PATTERN; may be repeated.")]


@contextmanager
def _told() -> Iterator[None]:
    """A bad argument, file or folder is one line on stderr and exit code 2, not a traceback."""
    try:
        yield
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else []:
        number = isinstance(rows[0][name], int | float)
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


@app.command()
def configs() -> None:
    """Names of the bundled configurations."""
    from odkit.bench.config import bundled

    typer.echo("\n".join(bundled()))


@app.command()
def plan(config: ConfigArgument, only: OnlyOption = None) -> None:
    """List the cells that `run` would run, and those that cannot run here."""
    from odkit.bench.config import load_config
    from odkit.bench.plan import describe, make_plan

    with _told():
        parsed, _ = load_config(config)
        made = make_plan(parsed, only=only or ())
    rows = [describe(cell) for cell in made.cells]
    shown = ("dataset", "detector", "version", "seed", "protocol", "missing")
    _print([{"cell": row["cell_id"][:12], **{name: row[name] for name in shown}} for row in rows])
    typer.echo(f"{len(rows)} cells, suite {made.suite}, suite sha {made.suite_sha[:12]}, run {made.run_id}")


@app.command()
def run(
    config: ConfigArgument,
    run_dir: Annotated[Path, typer.Option(help="Run folder; the same command again continues it.")],
    jobs: Annotated[int, typer.Option(help="Processes at a time.")] = 1,
    timeout: Annotated[float | None, typer.Option(help="Seconds per cell, instead of the configuration's.")] = None,
    mem: Annotated[str | None, typer.Option(help="Memory per cell, such as 4G or 900M.")] = None,
    only: OnlyOption = None,
    retry: Annotated[str, typer.Option(help="Statuses to run again, such as timeout,crash.")] = "",
    data: Annotated[str | None, typer.Option(help="Data folder (default: ODKIT_DATA_HOME).")] = None,
    strict: Annotated[bool, typer.Option(help="Exit code 3 if a cell failed.")] = False,
) -> None:
    """Run every cell that has no result yet; the same command resumes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from odkit.bench.config import load_config
    from odkit.bench.run import run as run_cells

    with _told():
        parsed, text = load_config(config)
        limits = {} if timeout is None else {"timeout_s": timeout}
        if mem is not None:
            limits["memory_mb"] = _megabytes(mem)
        parsed = parsed.model_copy(update={"limits": parsed.limits.model_validate(parsed.limits.model_dump() | limits)})
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
    if strict and summary.failed:
        raise typer.Exit(3)


def _megabytes(text: str) -> int:
    units = {"M": 1, "G": 1024}
    number, unit = text[:-1], text[-1:].upper()
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise ValueError(f"--mem {text!r}: write a number and M or G, such as 900M or 4G")
    return int(float(number) * units[unit])


@app.command()
def status(run_dir: RunArgument) -> None:
    """Cells per detector and status, and the last words of what failed."""
    from odkit.bench.tables import read_results

    with _told():
        results = read_results(run_dir)
    counts = results.cells.groupby("detector")["status"].value_counts().unstack(fill_value=0)
    _print([{"detector": name, **{k: int(v) for k, v in row.items()}} for name, row in counts.iterrows()])
    failed = results.cells[~results.cells["status"].isin(["ok", "missing", "skipped"])]
    for cell in failed.itertuples():
        last = (cell.error_tail or "").strip().splitlines()[-1:] or [""]
        typer.echo(f"{cell.cell_id[:12]} {cell.status:10} {cell.dataset} {cell.detector}: {cell.error_type} {last[0]}")


@app.command()
def show(cell: str, run_dir: Annotated[Path, typer.Option(help="Run folder.")]) -> None:
    """Everything the ledger holds about one cell, given the beginning of its id."""
    from odkit.bench.ledger import Ledger

    with _told(), Ledger(run_dir) as ledger:
        found = ledger.rows("SELECT * FROM cells WHERE cell_id LIKE ? || '%'", [cell])
        if len(found) != 1:
            raise ValueError(
                f"{cell!r} begins {len(found)} cell ids of {run_dir}; give more of one (`status` lists them)"
            )
        row = found[0]
        values = ledger.rows("SELECT metric, value FROM metrics WHERE cell_id=? ORDER BY metric", [row["cell_id"]])
    for name, value in row.items():
        if value not in (None, ""):
            typer.echo(f"{name:18} {value}")
    for metric in values:
        typer.echo(f"{metric['metric']:18} {metric['value']}")


@app.command()
def report(
    run_dir: RunArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file, or .md for its tables.")] = Path("report.html"),
    baseline: Annotated[Path | None, typer.Option(help="Another run folder: what changed against it.")] = None,
) -> None:
    """Write one self-contained HTML page (or its main tables as Markdown)."""
    from odkit.bench.report import write_report
    from odkit.bench.tables import read_results

    with _told():
        size = write_report(read_results(run_dir), out, read_results(baseline) if baseline else None)
    typer.echo(f"{out} ({size / 2**20:.2f} MB)")


@app.command()
def compare(a: RunArgument, b: RunArgument) -> None:
    """Run A against run B, each detector with itself, data set by data set; exit code 1 if A is worse somewhere."""
    from odkit.bench.compare import compare_runs
    from odkit.bench.tables import read_results

    with _told():
        table = compare_runs(read_results(a), read_results(b))
    _print(table.to_dict("records"))
    worse = table[table["P(worse)"] > 0.95]
    if len(worse):
        typer.echo(f"A is worse by more than the ROPE: {', '.join(worse['detector'])}")
        raise typer.Exit(1)


@app.command()
def export(
    run_dir: RunArgument,
    canonical: Annotated[bool, typer.Option(help="Deterministic columns only, sorted: for byte comparison.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write all cells and metrics to this Parquet file.")] = None,
) -> None:
    """Results as text (JSON lines, or --canonical) on standard output, or as Parquet."""
    from odkit.bench.ledger import Ledger
    from odkit.bench.tables import read_results

    with _told():
        if canonical:
            with Ledger(run_dir) as ledger:
                typer.echo(ledger.canonical(), nl=False)
            return
        cells = read_results(run_dir).cells
    if parquet:
        cells.to_parquet(parquet, index=False)
        typer.echo(f"{len(cells)} cells in {parquet}")
        return
    for row in cells.to_dict("records"):
        typer.echo(json.dumps({k: v for k, v in row.items() if v == v and v is not None}))


@app.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    into: Annotated[Path, typer.Option(help="The folder that takes their cells; made if it is not there.")],
) -> None:
    """Copy the finished cells of several run folders (of several machines) into one."""
    from odkit.bench.ledger import Ledger

    with _told(), Ledger(into, create=True) as target:
        for source in runs:
            with Ledger(source) as ledger:
                typer.echo(f"{target.take(ledger)} cells from {source}")


@app.command()
def add_data(
    name: Annotated[str, typer.Argument(help="The data set will be own/NAME.")],
    file: Annotated[Path, typer.Argument(help="CSV (gzip too), Parquet or npz, one row per line.")],
    label: Annotated[str, typer.Option(help="The column that says which rows are outliers: 0 and 1.")],
    ignore: Annotated[str, typer.Option(help="Columns that are no features, such as keys: a,b,c.")] = "",
    family: Annotated[str | None, typer.Option(help="Sets of a family count once in a comparison.")] = None,
    licence: Annotated[str, typer.Option(help="Of the data.")] = "not stated",
    data: Annotated[str | None, typer.Option(help="Data folder (default: ODKIT_DATA_HOME).")] = None,
) -> None:
    """Copy a labelled table into the data folder; a configuration names it as own/NAME among its `datasets`."""
    from odkit.datasets import add_dataset
    from odkit.jobs.tables import read

    with _told():
        frame = read([file]).frame
        dropped = [label, *(column for column in ignore.split(",") if column)]
        absent = [column for column in dropped if column not in frame]
        if absent:
            raise ValueError(f"{file}: no column {absent[0]!r}; there are {', '.join(map(str, frame.columns[:20]))}")
        features = frame.drop(columns=dropped)
        text = [str(column) for column in features.columns if features[column].dtype.kind not in "biuf"]
        if text:
            raise ValueError(f"{file}: {', '.join(text)}: no column of numbers; leave such columns out with --ignore")
        card = add_dataset(
            name, features.to_numpy(), frame[label].to_numpy(), family=family, licence=licence,
            feature_names=list(features.columns), data_home=data,
        )  # fmt: skip
    typer.echo(f"{card.id}: {card.n} rows, {card.d} columns, {card.outlier_rate:.2%} outliers, family {card.family!r}")


@app.command()
def speed(
    config: ConfigArgument = "speed",
    rows: Annotated[int, typer.Option(help="Training rows.")] = 10_000,
    columns: Annotated[int, typer.Option(help="Columns.")] = 10,
    repeats: Annotated[int, typer.Option(help="Interleaved repeats.")] = 3,
    threads: Annotated[int, typer.Option(help="BLAS and OpenMP threads.")] = 1,
) -> None:
    """Time fit and scoring of contestants side by side on generated rows; ratios, not seconds, are the result."""
    from odkit.bench.config import load_config
    from odkit.bench.speed import measure_speed

    with _told():
        parsed, _ = load_config(config)
        table = measure_speed(parsed, shape=(rows, columns), repeats=repeats, threads=threads)
    _print([row for row in table if "reason" not in row])
    for row in table:
        if "reason" in row:
            typer.echo(f"{row['detector']}: {row['reason']}")
