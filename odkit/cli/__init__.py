"""The command line: one table of commands, no logic. Bodies import what they need, so that `--help` is quick."""

import sys
import warnings
from typing import Annotated, Any

import typer

from odkit.cli import data, fitting, reporting, scoring
from odkit.cli.options import OPTIONS, Debug, Json

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

odkit report scored.parquet --model january.odkit --data february.parquet -o report.html
    [dim]one page: what is strange, why, when and where[/dim]

odkit detectors
    [dim]which detector for which data[/dim]
"""

# what the user can mend; other errors of the system, a full disk for one, are failures
WRONG_INPUT = (
    ValueError,
    ImportError,
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)

app = typer.Typer(name="odkit", help="Find outliers in tables, and say why they are.", epilog=EXAMPLES, **OPTIONS)
app.command(epilog=scoring.EXAMPLES, no_args_is_help=True)(scoring.score)
app.command(epilog=fitting.EXAMPLES, no_args_is_help=True)(fitting.fit)
app.command(no_args_is_help=True)(fitting.inspect)
app.command(epilog=reporting.EXAMPLES, no_args_is_help=True)(reporting.report)
app.add_typer(data.datasets, name="datasets")


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

    try:
        harness(context.args, prog_name="odkit bench")
    except ModuleNotFoundError as error:
        raise ImportError(f"odkit bench needs {error.name}, which is missing: pip install 'odkit[bench]'") from None


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
        wrong_input = isinstance(error, WRONG_INPUT)
        sentence = " ".join(str(error).split())
        if wrong_input:
            print(f"odkit: {sentence}", file=sys.stderr)
        else:
            kind = type(error).__name__
            print(f"odkit failed: {kind}: {sentence} (--debug shows where)", file=sys.stderr)
        sys.exit(2 if wrong_input else 1)


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr)
