"""What the commands share on a terminal: arguments, tables, and errors as one line."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["ConfigArgument", "DataOption", "OnlyOption", "RunArgument", "show_table", "told"]

ConfigArgument = Annotated[str, typer.Argument(help="A bundled configuration's name, or a .yaml or .toml file.")]
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]
OnlyOption = Annotated[
    list[str] | None, typer.Option(help="det=PATTERN, ds=PATTERN or both with a comma between; may be repeated.")
]
DataOption = Annotated[str | None, typer.Option(help="Data folder (default: ODKIT_DATA_HOME).")]


@contextmanager
def told() -> Iterator[None]:
    """A bad argument, file, folder or disk is one line on stderr and exit code 2, not a traceback."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except sqlite3.Error as error:
        typer.echo(f"the run folder's ledger.sqlite cannot be read or written: {error}", err=True)
        raise typer.Exit(2) from None


def show_table(rows: list[dict[str, Any]]) -> None:
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
