"""`odkit datasets`: list, verify, path."""

from typing import Annotated

import typer

from odkit.cli.options import OPTIONS, Debug, Json

EXAMPLES = """
[bold]Examples[/bold]

odkit datasets list --modality tabular

odkit score $(odkit datasets path samples/payments) --id payment_id --on-text codes

odkit datasets verify
    [dim]hash every file of the data folder and compare with the cards[/dim]
"""

datasets = typer.Typer(help="The data sets that odkit knows: list, verify, path.", epilog=EXAMPLES, **OPTIONS)


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
