"""Columns by their names: which of them name rows, which are features, and which are neither."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Self

from odkit.words import instead, listed

__all__ = ["Source", "check_present", "check_unique", "columns_of", "is_result", "split_names"]

RESULT = re.compile(r"anomaly_score|is_outlier|truth_is_outlier|p_value|top_[0-9]+(_share)?")
ROW_KEYS = ("file", "row")  # what names the rows of a scored file where no column does


@dataclass(frozen=True)
class Source:
    """The files of a job and how to look at them.

    Attributes
    ----------
    paths : files, read as one table in this order
    ids : columns that name a row; they are carried into the result and are no features
    columns : features; empty for all that are neither in `ids` nor in `ignore`
    ignore : columns to leave out
    nan : "error" or "null": rows with missing or infinite values stop the job, or stay out of the fit and get an empty
        score
    delimiter, header : of CSV files, as in `tables.read`
    """

    paths: Sequence[str | PathLike]
    ids: Sequence[str] = ()
    columns: Sequence[str] = ()
    ignore: Sequence[str] = ()
    nan: str = "error"
    delimiter: str | None = None
    header: bool = True

    @property
    def name(self) -> str:
        first = Path(self.paths[0]).name
        return first if len(self.paths) == 1 else f"{first} and {len(self.paths) - 1} more"

    def resolved(self, file: str, known: Collection[str]) -> Self:
        """The source with `ids`, `columns` and `ignore` as columns that a file has, each once.

        Raises
        ------
        ValueError
            If a name is not among the known ones, or a column is a feature and is not.
        """
        words = (("--id", self.ids), ("--columns", self.columns), ("--ignore", self.ignore))
        ids, columns, ignore = (columns_of(option, given, file, known) for option, given in words)
        both = sorted({*ids, *ignore} & {*columns})
        if both:
            raise ValueError(f"column {both[0]!r} is in --columns and in --id or --ignore; name it in one of them")
        return replace(self, ids=ids, columns=columns, ignore=ignore)

    def features(self, known: Sequence[str], beside: Collection[str] = ()) -> tuple[list[str], list[str]]:
        """The features of a resolved source among the known columns, and notes on what was left out unasked.

        Parameters
        ----------
        known : columns of a file, in order
        beside : those that are vectors beside a table
        """
        left = [name for name in known if name not in {*self.ids, *self.ignore, *self.columns}]
        vectors = [name for name in left if name in beside]
        notes = [f"left out, because it is a vector beside the table: {listed(vectors)}"] if vectors else []
        if self.columns:
            return list(self.columns), notes
        scored = [name for name in left if is_result(name) or name in ROW_KEYS] if "anomaly_score" in known else []
        if scored:
            notes.append(f"left out, because they are the result of an earlier scoring: {listed(scored)}")
        features = [name for name in left if name not in (*scored, *vectors)]
        if scored and not features:
            raise ValueError(
                f"{listed(scored)} are the result of an earlier scoring, and there is no other column to learn from; "
                "give the file that was scored, or name features with --columns"
            )
        return features, notes


def is_result(name: str) -> bool:
    """Whether a column of this name is a result of scoring, or the truth that a scored file carries."""
    return RESULT.fullmatch(name) is not None


def columns_of(option: str, given: Sequence[str], file: str, known: Collection[str]) -> list[str]:
    """The columns that the words of an option name, each once, or a ValueError that names the unknown one."""
    return list(dict.fromkeys(name for word in given for name in _named(option, word, file, known)))


def split_names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",")]


def check_present(names: Sequence[str], there: Collection[str]) -> None:
    """Raise ValueError unless all columns that a model needs are there."""
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(
            f"the model was fitted on {len(names)} columns, of which {len(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing here: {listed(missing)}; "
            f"{instead(missing[0], there)}"
        )


def check_unique(path: Path, names: Sequence[str]) -> None:
    """Raise ValueError if two columns of a file have one name."""
    repeated = [name for position, name in enumerate(names) if name in names[:position]]
    if repeated:
        raise ValueError(f"{path.name} has more than one column {repeated[0]!r}; rename one of them")


def _named(option: str, given: str, file: str, known: Collection[str]) -> list[str]:
    """The columns that a word of the command line names: one, or several separated by commas."""
    names = [given] if given in known else split_names(given)
    for name in names:
        if name not in known:
            raise ValueError(f"{option}: {file} has no column {name!r}; {instead(name, known)}")
    return names
