"""A detector that was fitted on files, with what the fit knows of their columns: as an object and as a model file."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from odkit import model_file
from odkit.jobs.columns import Columns

__all__ = ["Fitted", "load"]


@dataclass(frozen=True)
class Fitted:
    """A fitted detector and what a fit on files knows beside it.

    Attributes
    ----------
    detector : fitted detector or pipeline
    columns : its columns; None for a model that was saved without them
    data : names and sizes of the files, number of rows, sha256 of the numbers that the detector saw
    notes : sentences that a person should read
    """

    detector: Any
    columns: Columns | None
    data: dict[str, Any]
    notes: list[str]

    def save(self, path: str | PathLike) -> None:
        """Write a model file from which `load` brings this back."""
        columns = None if self.columns is None else self.columns.to_json()
        model_file.save(self.detector, path, notes={"columns": columns, "data": self.data})


def load(path: str | PathLike) -> Fitted:
    """Read a model file, whether `Fitted.save` wrote it or `odkit.model_file.save`."""
    detector = model_file.load(path)
    notes = model_file.inspect(path)["notes"]
    columns = None if notes.get("columns") is None else Columns.from_json(notes["columns"])
    names = getattr(detector, "feature_names_in_", None)
    if columns is not None and (names is None or columns.names != names.tolist()):
        raise ValueError(f"{Path(path).name}: its notes and its detector name different columns; fit it again")
    return Fitted(detector, columns, notes.get("data") or {}, [])
