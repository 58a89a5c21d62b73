"""`odkit report`."""

import shlex
import sys
from typing import Annotated

import typer

from odkit.cli.options import LEARN, LOOK, SHOW, Debug

EXAMPLES = """
[bold]Examples[/bold]

odkit report scored.csv -o report.html
    [dim]what can be said from the scores alone[/dim]

odkit report scored.parquet --model january.odkit --data february.parquet -o report.html
    [dim]with reasons, every feature's distribution, and warnings about the data[/dim]

odkit report scored.csv --labels fraud --static -o report.html
    [dim]precision and recall; small and without script, for mail and paper[/dim]
"""


def report(
    scored: Annotated[str, typer.Argument(metavar="SCORED", help="Written by odkit score --out.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The page.", rich_help_panel=SHOW)],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="FILE", help="That gave the scores.", rich_help_panel=LEARN),
    ] = None,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE",
            help="Rows that were scored: files, folders or patterns; repeatable.",
            rich_help_panel=LOOK,
        ),
    ] = [],  # noqa: B006  typer copies it
    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="COLUMN", help="The truth: 1 or true is an outlier.", rich_help_panel=LOOK),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", help="Default: the first of dates.", rich_help_panel=LOOK),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="COLUMN", help="Default: the first of few texts.", rich_help_panel=LOOK),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, max=500, help="Rows in the table.", rich_help_panel=SHOW)] = 20,
    static: Annotated[
        bool, typer.Option("--static", help="No script, under 500 kB: for mail and paper.", rich_help_panel=SHOW)
    ] = False,
    debug: Debug = False,
) -> None:
    """Make one HTML page about scored rows: which are strange, why, when, where, and what is doubtful."""
    from odkit.jobs.formats import check_output
    from odkit.report import gather, write_report

    check_output(out, [scored, *data], (".html", ".htm"))
    material = gather(scored, model=model, data=data, labels=labels, time=time, group=group)
    command = shlex.join(["odkit", *sys.argv[1:]])
    size = write_report(material, out, top=top, static=static, command=command)
    print(f"written: {out} ({size / 1e3:,.0f} kB, {len(material.score):,} rows)")
