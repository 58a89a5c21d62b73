"""`odkit bench status`, `show`, `report`, `compare`, `export` and `merge`: reading what a run has left."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odkit.bench.terminal import RunArgument, show_table, told

if TYPE_CHECKING:
    from odkit.bench.tables import Results

__all__ = ["compare", "export", "merge", "report", "show", "status"]


def status(run_dir: RunArgument) -> None:
    """Cells per detector and status, and the last words of what failed."""
    from odkit.bench.tables import read_results

    with told():
        results = read_results(run_dir)
    counts = results.cells.groupby("detector")["status"].value_counts().unstack(fill_value=0)
    show_table([{"detector": name, **{k: int(v) for k, v in row.items()}} for name, row in counts.iterrows()])
    _tell_left_out(results)
    for (detector, reason), group in _skipped(results.cells):
        typer.echo(f"skipped {len(group)} of {detector}: {reason}")
    failed = results.cells[~results.cells["status"].isin(["ok", "missing", "skipped"])]
    for cell in failed.itertuples():
        last = (cell.error_tail or "").strip().splitlines()[-1:] or [""]
        typer.echo(f"{cell.cell_id[:12]} {cell.status:10} {cell.dataset} {cell.detector}: {cell.error_type} {last[0]}")


def show(cell: str, run_dir: Annotated[Path, typer.Option(help="Run folder.")]) -> None:
    """Everything the ledger holds about one cell, given the beginning of its id."""
    from odkit.bench.ledger import Ledger

    with told(), Ledger(run_dir) as ledger:
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


def report(
    run_dir: RunArgument,
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file, or .md for its tables.")] = Path("report.html"),
    baseline: Annotated[Path | None, typer.Option(help="Another run folder: what changed against it.")] = None,
) -> None:
    """Write one self-contained HTML page (or its main tables as Markdown)."""
    from odkit.bench.report import write_report
    from odkit.bench.tables import read_results

    with told():
        size = write_report(read_results(run_dir), out, read_results(baseline) if baseline else None)
    typer.echo(f"{out} ({size / 2**20:.2f} MB)")


def compare(a: RunArgument, b: RunArgument) -> None:
    """Run A against run B, each detector with itself, data set by data set; exit code 1 if A is worse somewhere, or
    fails where B did not."""
    from odkit.bench.compare import compare_runs, regressions
    from odkit.bench.tables import read_results

    with told():
        table = compare_runs(read_results(a), read_results(b))
    show_table(table.to_dict("records"))
    found = regressions(table)
    if found:
        typer.echo("\n".join(f"A: {words}" for words in found))
        raise typer.Exit(1)


def export(
    run_dir: RunArgument,
    canonical: Annotated[bool, typer.Option(help="Deterministic columns only, sorted: for byte comparison.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write all cells and metrics to this Parquet file.")] = None,
) -> None:
    """Results as text (JSON lines, or --canonical) on standard output, or as Parquet."""
    from odkit.bench.ledger import Ledger
    from odkit.bench.tables import read_results

    with told():
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


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    into: Annotated[Path, typer.Option(help="The folder that takes their cells; made if it is not there.")],
) -> None:
    """Copy the finished cells of several run folders (of several machines) into one."""
    from odkit.bench.ledger import Ledger
    from odkit.bench.tables import read_results

    with told():
        with Ledger(into, create=True) as target:
            for source in runs:
                with Ledger(source) as ledger:
                    typer.echo(f"{target.take(ledger)} cells from {source}")
        _tell_left_out(read_results(into))


def _tell_left_out(results: "Results") -> None:
    if results.left_out:
        typer.echo(
            f"not shown, here and in reports: {', '.join(results.left_out)}, which only older configurations of this "
            "folder name. To show them all, `run` one configuration with every detector here: nothing is refitted",
            err=True,
        )


def _skipped(cells: Any) -> Any:
    """Skipped cells by detector and reason."""
    skipped = cells[cells["status"] == "skipped"]
    return skipped.groupby(["detector", skipped["error_tail"].fillna("")], sort=False)
