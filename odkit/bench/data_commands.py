"""`odkit bench datasets`, `add-data` and `speed`: what there is to run on, and time apart from accuracy."""

from pathlib import Path
from typing import Annotated

import typer

from odkit.bench.own_classes import find_own_classes
from odkit.bench.terminal import ConfigArgument, DataOption, show_table, told

__all__ = ["add_data", "datasets", "speed"]


def datasets(
    verify: Annotated[bool, typer.Option(help="Hash every file and compare it with its card; exit code 2.")] = False,
    data: DataOption = None,
) -> None:
    """List the data sets that a configuration can name, and where they are."""
    from odkit.datasets import rows
    from odkit.datasets import verify as verify_files

    with told():
        if not verify:
            show_table(rows(data_home=data))
            return
        checks = verify_files(data_home=data)
        show_table([check._asdict() for check in checks])
        faults = [check.id for check in checks if check.status != "ok"]
        if faults:
            raise ValueError(f"{len(faults)} of {len(checks)} data sets are not as their cards say: {faults[0]} ...")


def add_data(
    name: Annotated[str, typer.Argument(help="The data set will be own/NAME.")],
    file: Annotated[Path, typer.Argument(help="CSV (gzip too), Parquet or npz, one row per line.")],
    label: Annotated[str, typer.Option(help="The column that says which rows are outliers: 0 and 1.")],
    ignore: Annotated[str, typer.Option(help="Columns that are no features, such as keys: a,b,c.")] = "",
    delimiter: Annotated[str | None, typer.Option(help="Separator of CSV fields (default: the comma).")] = None,
    family: Annotated[str | None, typer.Option(help="Sets of a family count once in a comparison.")] = None,
    licence: Annotated[str, typer.Option(help="Of the data.")] = "not stated",
    data: DataOption = None,
) -> None:
    """Copy a labelled table into the data folder; a configuration names it as own/NAME among its `datasets`."""
    from odkit.datasets import add_dataset
    from odkit.jobs.tables import read

    with told():
        frame = read([file], delimiter=delimiter).frame
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


def speed(
    config: ConfigArgument = "speed",
    rows: Annotated[int, typer.Option(help="Training rows.")] = 10_000,
    columns: Annotated[int, typer.Option(help="Columns.")] = 10,
    repeats: Annotated[int, typer.Option(help="Interleaved repeats.")] = 3,
    threads: Annotated[
        list[int] | None, typer.Option(help="BLAS and OpenMP threads; may be repeated (default: 1, and all).")
    ] = None,
) -> None:
    """Time fit and scoring of contestants side by side on generated rows; ratios, not seconds, are the result."""
    from odkit.bench.config import load_config
    from odkit.bench.speed import measure_speed

    with told():
        parsed, _ = load_config(config)
        find_own_classes(config)
        counts = tuple(threads) if threads else (1, None)
        table = measure_speed(parsed, shape=(rows, columns), repeats=repeats, threads=counts)
    show_table([row for row in table if "reason" not in row])
    for row in table:
        if "reason" in row:
            typer.echo(f"{row['detector']}: {row['reason']}")
