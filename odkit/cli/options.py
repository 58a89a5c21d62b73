"""The options that several commands share, each written once."""

from enum import StrEnum
from typing import Annotated, Any

import typer


class OnText(StrEnum):
    """What becomes of columns that hold text."""

    error = "error"
    drop = "drop"
    codes = "codes"


class OnNan(StrEnum):
    """What becomes of rows with missing or infinite values."""

    error = "error"
    null = "null"


class OnError(StrEnum):
    """What becomes of a job when a file or a part of one cannot be scored."""

    fail = "fail"
    skip = "skip"


class Scale(StrEnum):
    """How columns are brought to comparable units before a detector sees them."""

    none = "none"
    standard = "standard"
    robust = "robust"


LOOK, LEARN, SHOW, JOB = "Rows and columns", "Detector", "Results", "Jobs (--out FOLDER)"

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="CSV (also .gz), Parquet, npz or npy files; for jobs folders and patterns."),
]
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
PValues = Annotated[
    bool, typer.Option("--p-values", help="Have how rare each score is among ordinary rows.", rich_help_panel=SHOW)
]


def _share_or_auto(word: str) -> float | str:
    if word == "auto":
        return word
    try:
        return float(word)
    except ValueError:
        raise typer.BadParameter(f"{word!r} is neither a share nor auto") from None


Contamination = Annotated[
    Any,
    typer.Option(
        "--contamination",
        "-c",
        metavar="SHARE",
        parser=_share_or_auto,
        help="Share of the fitted rows that is flagged, at most 0.5, or auto: beyond Tukey's fence of their scores. "
        "Default: the detector's, mostly 0.1.",
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
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="At most, such as 2GB.", rich_help_panel=JOB)
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
