"""`odkit score`."""

from dataclasses import replace
from typing import Annotated

import typer

from odkit.cli.options import (
    JOB,
    LEARN,
    SHOW,
    ColumnNames,
    Contamination,
    Debug,
    Delimiter,
    DetectorName,
    Files,
    Id,
    Ignore,
    Json,
    Memory,
    NanOption,
    NoHeader,
    OnError,
    OnNan,
    OnTextOption,
    Param,
    PValues,
    ScaleOption,
    Seed,
)

EXAMPLES = """
[bold]Examples[/bold]

odkit score payments.csv --id payment_id --on-text codes
    [dim]the ten strangest payments and why, without a model[/dim]

odkit score jan.csv feb.csv --id payment_id --out scored.csv --explain
    [dim]a score for every row of both files, its main reasons beside it[/dim]

odkit score new.parquet --model january.odkit --out scored.parquet
    [dim]with a model that odkit fit has written[/dim]

odkit score sensors.csv --detector knn --scale standard --param n_neighbors=10
    [dim]another detector and its parameters[/dim]

odkit score today.csv --reference ordinary.csv --fdr 0.05
    [dim]rows to look at, at most 5 % of them false alarms, if ordinary rows are like those of the reference[/dim]

odkit score features.npz --json | jq '.top[0].reasons'
    [dim]for programs: results on stdout, everything else on stderr[/dim]

odkit score january/ 'february/*.csv.gz' --model m.odkit --id payment_id --out scores/
    [dim]files larger than memory, into a folder; stopped or killed, the same command goes on[/dim]

odkit score january/ --model m.odkit --dask tcp://scheduler:8786 --out scores/
    [dim]the same on the workers of a Dask cluster[/dim]

[bold]Exit codes[/bold]

0 done; 2 wrong usage or input, nothing was written; 1 failed on the way (a job goes on when started again);
3 done but for parts left out by --on-error skip; 130, 143 stopped by hand.
"""


def score(
    files: Files,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="FILE", help="Written by odkit fit.", rich_help_panel=LEARN)
    ] = None,
    detector: DetectorName = None,
    param: Param = [],  # noqa: B006  typer copies it
    contamination: Contamination = None,
    scale: ScaleOption = None,
    seed: Seed = None,
    id: Id = [],  # noqa: B006
    columns: ColumnNames = [],  # noqa: B006
    ignore: Ignore = [],  # noqa: B006
    on_text: OnTextOption = None,
    nan: NanOption = OnNan.error,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Scores of all rows, .csv or .parquet; or a folder.",
            rich_help_panel=SHOW,
        ),
    ] = None,
    p_values: PValues = False,
    fdr: Annotated[
        float | None,
        typer.Option(
            "--fdr",
            metavar="SHARE",
            help="Flag rows so that at most this share of the flagged are false alarms, in expectation.",
            rich_help_panel=SHOW,
        ),
    ] = None,
    reference: Annotated[
        list[str],
        typer.Option(
            "--reference",
            metavar="FILE",
            help="Ordinary rows: the detector is fitted on them, and p-values compare with them.",
            rich_help_panel=LEARN,
        ),
    ] = [],  # noqa: B006
    top: Annotated[int, typer.Option("--top", min=0, help="Rows in the table.", rich_help_panel=SHOW)] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Three reasons per row in --out.", rich_help_panel=SHOW)
    ] = False,
    memory: Memory = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Threads. Default: cores, at most 8.", rich_help_panel=JOB)
    ] = None,
    on_error: Annotated[
        OnError | None,
        typer.Option("--on-error", help="Stop at a bad part, or leave it out. Default: fail.", rich_help_panel=JOB),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster, tcp://...", rich_help_panel=JOB),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the folder's earlier job.", rich_help_panel=JOB)
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash the parts that are there.", rich_help_panel=JOB)
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score the rows of files: by a model, or by a detector fitted on the same rows."""
    from odkit.jobs import choice, command, formats, reporters, screen, single, tables
    from odkit.jobs.selection import Source
    from odkit.jobs.significance import Significance, calibrated

    if out is not None and command.is_job(out):
        choice.refuse_fit_options(detector, contamination, seed, scale, on_text, param, reference)
        raise typer.Exit(
            command.score(
                files,
                model,
                out,
                as_json=as_json,
                columns=columns,
                fdr=fdr,
                p_values=p_values,
                keys=id,
                ignore=ignore,
                nan=nan,
                delimiter=delimiter,
                header=not no_header,
                top=3 * explain,
                memory=memory,
                workers=workers,
                on_error=on_error or "fail",
                overwrite=overwrite,
                verify=verify,
                dask=dask,
            )
        )
    command.refuse_job_options(memory, workers, on_error, overwrite, verify, dask)
    if out is not None:
        formats.check_output(out, [*files, *reference], formats.WRITABLE)
    significance = Significance(p_values, fdr)
    chosen = choice.choose(model, detector, contamination, seed, scale, on_text, param, reference)
    source = Source(files, id, columns, ignore, nan, delimiter, not no_header)
    with reporters.progress() as report:
        if reference:
            ordinary, source = replace(source, paths=reference), replace(source, columns=[])
            chosen = calibrated(chosen, contamination, fdr)
            command.refuse_own_reference(files, reference)
            chosen = single.fit(ordinary, chosen, on_text=on_text or "error", progress=report)
        scored = single.score(
            source,
            chosen,
            on_text=on_text or "error",
            top=top,
            explain=3 * explain,
            significance=significance,
            progress=report,
        )
        if out is not None:
            report(f"writing {out}", 0, 0)
            tables.write(scored.frame, out)
    screen.show_scored(source.name, scored, out, as_json=as_json)
