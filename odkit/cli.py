"""The command line: one table of commands, no logic. Bodies import what they need, so that `--help` is quick."""

import sys
import warnings
from enum import StrEnum
from typing import Annotated, Any

import typer

from odkit.bench.commands import app as bench

__all__ = ["app", "main"]

EXAMPLES = """
[bold]Examples[/bold]

odkit score payments.csv --id payment_id --on-text codes
    [dim]the strangest rows of a file, and why they are[/dim]

odkit score payments.csv --id payment_id --on-text drop --out scored.csv
    [dim]a score for every row[/dim]

odkit fit january.parquet -o january.odkit
odkit score february.parquet --model january.odkit --out scored.parquet
    [dim]learn once what is normal, score new rows with it[/dim]

odkit detectors
    [dim]which detector for which data[/dim]
"""

SCORE_EXAMPLES = """
[bold]Examples[/bold]

odkit score payments.csv --id payment_id --on-text codes
    [dim]the ten strangest payments and why, without a model[/dim]

odkit score jan.csv feb.csv --id payment_id --out scored.csv --explain
    [dim]a score for every row of both files, its main reasons beside it[/dim]

odkit score new.parquet --model january.odkit --out scored.parquet
    [dim]with a model that odkit fit has written[/dim]

odkit score sensors.csv --detector knn --scale standard --param n_neighbors=10
    [dim]another detector and its parameters[/dim]

odkit score features.npz --json | jq '.top[0].reasons'
    [dim]for programs: results on stdout, everything else on stderr[/dim]

[bold]Exit codes[/bold]

0 done; 2 wrong usage or input, nothing was written; 1 failed on the way.
"""

FIT_EXAMPLES = """
[bold]Examples[/bold]

odkit fit january.csv --id payment_id --on-text codes -o january.odkit

odkit fit sensors.parquet --detector knn --scale standard -o sensors.odkit

odkit inspect sensors.odkit
    [dim]what a model file says about itself; loading one executes nothing[/dim]
"""

DATASETS_EXAMPLES = """
[bold]Examples[/bold]

odkit datasets list --modality tabular

odkit score $(odkit datasets path samples/payments) --id payment_id --on-text codes

odkit datasets verify
    [dim]hash every file of the data folder and compare with the cards[/dim]
"""


class OnText(StrEnum):
    """What becomes of columns that hold text."""

    error = "error"
    drop = "drop"
    codes = "codes"


class OnNan(StrEnum):
    """What becomes of rows with missing or infinite values."""

    error = "error"
    null = "null"


class Scale(StrEnum):
    """How columns are brought to comparable units before a detector sees them."""

    none = "none"
    standard = "standard"
    robust = "robust"


# what the user can mend; other errors of the system, a full disk for one, are failures
WRONG_INPUT = (ValueError, ImportError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)

LOOK, LEARN, SHOW = "Rows and columns", "Detector", "Results"

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="CSV (also .gz), Parquet, npz or npy files.")]
Id = Annotated[
    list[str], typer.Option("--id", metavar="COLUMN", help="Names the row; no feature.", rich_help_panel=LOOK)
]
ColumnNames = Annotated[
    list[str],
    typer.Option("--columns", metavar="A,B,...", help="Features. Default: all others.", rich_help_panel=LOOK),
]
Ignore = Annotated[
    list[str], typer.Option("--ignore", metavar="A,B,...", help="Columns to leave out.", rich_help_panel=LOOK)
]
OnTextOption = Annotated[
    OnText | None,
    typer.Option(
        "--on-text",
        help="Text columns: refuse them, drop them, or code them by frequency (0: the most frequent). Default: error.",
        rich_help_panel=LOOK,
    ),
]
NanOption = Annotated[
    OnNan,
    typer.Option("--nan", help="Rows with missing values: refuse, or leave without a score.", rich_help_panel=LOOK),
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="CHAR", help="Between CSV fields.", rich_help_panel=LOOK)
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line of a CSV file is a row.", rich_help_panel=LOOK)
]
DetectorName = Annotated[
    str | None,
    typer.Option("--detector", "-d", metavar="NAME", help="See odkit detectors. Default: ecod.", rich_help_panel=LEARN),
]
Param = Annotated[
    list[str],
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the detector.", rich_help_panel=LEARN),
]
Contamination = Annotated[
    float | None,
    typer.Option(
        "--contamination",
        "-c",
        metavar="SHARE",
        help="Share of the fitted rows that is flagged, at most 0.5. Default: the detector's, mostly 0.1.",
        rich_help_panel=LEARN,
    ),
]
ScaleOption = Annotated[
    Scale | None,
    typer.Option("--scale", help="Columns to comparable units first. Default: none.", rich_help_panel=LEARN),
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="For detectors that draw random numbers.", rich_help_panel=LEARN)
]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON.", rich_help_panel=SHOW)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

OPTIONS: dict[str, Any] = {
    "rich_markup_mode": "rich",
    "no_args_is_help": True,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
app = typer.Typer(name="odkit", help="Find outliers in tables, and say why they are.", epilog=EXAMPLES, **OPTIONS)
datasets = typer.Typer(help="The data sets that odkit knows: list, verify, path.", epilog=DATASETS_EXAMPLES, **OPTIONS)
app.add_typer(datasets, name="datasets")
app.add_typer(bench, name="bench")


@app.command(epilog=SCORE_EXAMPLES, no_args_is_help=True)
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
        typer.Option("--out", "-o", metavar="FILE", help="Scores of all rows, .csv or .parquet.", rich_help_panel=SHOW),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Rows in the table.", rich_help_panel=SHOW)] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Three reasons per row in --out.", rich_help_panel=SHOW)
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score the rows of files: by a model, or by a detector fitted on the same rows."""
    from odkit.jobs import choice, screen, single, tables

    if out is not None:
        tables.check_output(out, files, tables.WRITABLE)
    chosen = choice.choose(model, detector, contamination, seed, scale, on_text, param)
    source = single.Source(files, id, columns, ignore, nan, delimiter, not no_header)
    with screen.progress() as report:
        scored = single.score(source, chosen, on_text=on_text or "error", top=top, explain=3 * explain, progress=report)
        if out is not None:
            report(f"writing {out}", 0, 0)
            tables.write(scored.frame, out)
    screen.show_scored(source.name, scored, out, as_json=as_json)


@app.command(epilog=FIT_EXAMPLES, no_args_is_help=True)
def fit(
    files: Files,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The model.", rich_help_panel=SHOW)],
    detector: DetectorName = None,
    param: Param = [],  # noqa: B006
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
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn from files what is normal and write it to a model file."""
    from odkit import model_file
    from odkit.jobs import choice, screen, single, tables

    tables.check_output(out, files, ())
    chosen = choice.choose(None, detector, contamination, seed, scale, on_text, param)
    source = single.Source(files, id, columns, ignore, nan, delimiter, not no_header)
    with screen.progress() as report:
        fitted = single.fit(source, chosen, on_text=on_text or "error", progress=report)
        fitted.save(out)
    screen.show_model(model_file.inspect(out), fitted.notes, as_json=as_json)


@app.command(no_args_is_help=True)
def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL")], as_json: Json = False, debug: Debug = False
) -> None:
    """Show what a model file says about itself, without loading its arrays."""
    from odkit import model_file
    from odkit.jobs import screen

    screen.show_model(model_file.inspect(model), [], as_json=as_json)


@app.command()
def detectors(as_json: Json = False, debug: Debug = False) -> None:
    """List the detectors: what each assumes, what it costs, when it fails."""
    from odkit import catalog
    from odkit.jobs import screen

    screen.show_records(catalog.table(), as_json=as_json, wrap=True)


@app.command()
def info(as_json: Json = False, debug: Debug = False) -> None:
    """Show versions, threads, devices and the folder of data sets."""
    from odkit import installation
    from odkit.jobs import screen

    screen.show_facts(installation.describe(), as_json=as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Compare detectors on data sets: plan, run, report."""
    from odkit.bench.commands import app as harness

    harness(context.args, prog_name="odkit bench")


@datasets.command("list")
def list_datasets(
    modality: Annotated[str | None, typer.Option(help="tabular, image, series, ...")] = None,
    suite: Annotated[str | None, typer.Option(help="A named list of data sets.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the data sets and where they are."""
    from odkit.datasets import rows
    from odkit.jobs import screen

    screen.show_records(rows(modality=modality, suite=suite), as_json=as_json)


@datasets.command("verify")
def verify_datasets(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the files with the hashes on their cards; exit code 1 if one differs or is missing."""
    from odkit.datasets import verify
    from odkit.jobs import screen

    checks = verify(ids or None)
    screen.show_records([check._asdict() for check in checks], as_json=as_json, wrap=True)
    raise typer.Exit(0 if all(check.status == "ok" for check in checks) else 1)


@datasets.command("path")
def path_of_dataset(id: Annotated[str, typer.Argument(metavar="ID")], debug: Debug = False) -> None:
    """Print the path of a data set's file, for other commands to read."""
    from odkit.datasets import path

    print(path(id))


@app.callback(invoke_without_command=True)
def start(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    """Find outliers in tables, and say why they are."""
    if version:
        from odkit import __version__

        print(f"odkit {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: errors become one sentence on stderr and an exit code."""
    warnings.showwarning = _show_warning
    try:
        app(prog_name="odkit")
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        wrong_input = isinstance(
            error, ValueError | ImportError | FileNotFoundError | FileExistsError | PermissionError
        )
        wrong_input |= isinstance(error, IsADirectoryError | NotADirectoryError)
        sentence = " ".join(str(error).split())
        if wrong_input:
            print(f"odkit: {sentence}", file=sys.stderr)
        else:
            kind = type(error).__name__
            print(f"odkit failed: {kind}: {sentence} (--debug shows where)", file=sys.stderr)
        sys.exit(2 if wrong_input else 1)


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr)
