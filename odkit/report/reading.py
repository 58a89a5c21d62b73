"""What a report is made of: the scored file and, where they are given, the rows that were scored and the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit import model_file
from odkit.jobs.columns import Columns
from odkit.jobs.fitted import Fitted, load
from odkit.jobs.inputs import expand, relative
from odkit.jobs.selection import check_present, is_result
from odkit.jobs.tables import Table, read
from odkit.report.columns import flags_of, group_of, time_of, truth_of
from odkit.words import listed

__all__ = ["Material", "gather"]


@dataclass(frozen=True)
class Material:
    """Rows in the order of the scored file, each read once.

    Attributes
    ----------
    name : the scored file or folder
    files : dicts of name, bytes and rows of all files that were read
    scored : the scored table
    keys : its columns that name a row
    score : anomaly scores, NaN for rows without one
    flagged : what the detector said
    data : the rows that were scored, aligned with `scored`, or None
    columns : the features of `data`, or None
    X : `data` as the numbers that the model sees, or None
    model, card : the model and what `odkit inspect` says of it, or None
    is_outlier : the truth, or None
    time, group : a column each, or None
    notes : sentences that a person should read
    """

    name: str
    files: list[dict[str, Any]]
    scored: pd.DataFrame
    keys: list[str]
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    data: pd.DataFrame | None
    columns: Columns | None
    X: pd.DataFrame | None
    model: Fitted | None
    card: dict[str, Any] | None
    is_outlier: NDArray[np.bool_] | None
    time: pd.Series | None
    group: pd.Series | None
    notes: list[str]


def gather(
    scored: str | PathLike,
    *,
    model: str | PathLike | None = None,
    data: Sequence[str | PathLike] = (),
    labels: str | None = None,
    time: str | None = None,
    group: str | None = None,
) -> Material:
    """Read what a report needs.

    Parameters
    ----------
    scored : file written by `odkit score --out`, or the folder of a scoring job
    model : model file that gave the scores; with `data`, it says why rows are anomalous
    data : files that were scored, folders of them or patterns, as `odkit.jobs.inputs.expand` takes them
    labels, time, group : columns of `scored` or `data`: the truth (0 and 1, or false and true), when a row was
        measured, what it belongs to. Default: `truth_is_outlier`, the first dates, the first text of few values.

    Raises
    ------
    FileNotFoundError, ValueError
        The message names the file or column and what is wrong.
    """
    notes: list[str] = []
    paths = _files(Path(scored), notes)
    plain = read(paths)
    for name in ("anomaly_score", "is_outlier"):
        if name not in plain.frame.columns:
            raise ValueError(
                f"{Path(scored).name} has no column {name!r}, so it is no scored file; its columns are "
                f"{listed(plain.frame.columns)}. Write one with odkit score --out"
            )
    keys = [name for name in plain.frame.columns if not is_result(name)]
    files = _described(paths, plain)
    frame, rows = plain.frame, None
    fitted = None if model is None else load(model)
    rows_of = expand(data)
    if rows_of:
        known = fitted.columns if fitted is not None and fitted.columns is not None else Columns(())
        # a key that looks like a number in one file may be text in the other
        text = [*(key for key in keys if key not in known.names), *known.text]
        frame, table = read(paths, text=text, keys=keys).frame, read(rows_of, text=text, keys=keys)
        files += _described(rows_of, table)
        rows = _aligned(frame, keys, _numbered(table, rows_of, keys), Path(scored).name)
    everything = frame if rows is None else pd.concat([frame, rows[rows.columns.difference(frame.columns)]], axis=1)
    stamps = time_of(everything, time)
    columns, X = _features(fitted, rows, [*keys, labels, None if stamps is None else str(stamps.name)])
    return Material(
        name=Path(scored).name,
        files=files,
        scored=frame,
        keys=keys,
        score=frame["anomaly_score"].to_numpy(np.float64, na_value=np.nan),
        flagged=flags_of(frame["is_outlier"]),
        data=rows,
        columns=columns,
        X=X,
        model=fitted,
        card=None if model is None else model_file.inspect(model),
        is_outlier=truth_of(everything, labels),
        time=stamps,
        group=group_of(everything, group, keys, stamps),
        notes=notes,
    )


def _files(path: Path, notes: list[str]) -> list[Path]:
    """The scored file, or the parts in the folder of a job."""
    if not path.is_dir():
        return [path]
    parts = sorted(path.glob("part-*.parquet"))
    if not parts:
        raise ValueError(f"{path} is a folder without part-*.parquet, so no scoring job has written to it")
    if not (path / "_SUCCESS").exists():
        notes.append(f"{path.name} has no _SUCCESS: the job has not finished, and rows are missing here")
    return parts


def _described(paths: Sequence[str | PathLike], table: Table) -> list[dict[str, Any]]:
    return [
        {"name": Path(path).name, "bytes": Path(path).stat().st_size, "rows": rows}
        for path, rows in zip(paths, table.sizes, strict=True)
    ]


def _numbered(table: Table, paths: Sequence[Path], keys: Sequence[str]) -> pd.DataFrame:
    """The data with the number of each row and its file, where the scored file names rows by them."""
    made = {
        "row": np.concatenate([np.arange(size) for size in table.sizes]).astype(str),
        "file": np.repeat(relative(paths), table.sizes),
    }
    wanted = {name: made[name] for name in made if name in keys and name not in table.frame.columns}
    return table.frame.assign(**wanted)


def _aligned(scored: pd.DataFrame, keys: Sequence[str], data: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of `data` in the order of `scored`."""
    shared = [key for key in keys if key in data.columns]
    left, right = (frame[shared].astype(str) for frame in (scored, data))
    if len(scored) == len(data) and left.equals(right):  # also where no key is shared: jobs keep the order of rows
        return data.reset_index(drop=True)
    if not shared:
        raise ValueError(
            f"{name} has {len(scored):,} rows and the data {len(data):,}, and no column that names rows is in both; "
            "score with --id, or give the files that were scored"
        )
    index = pd.MultiIndex.from_frame(right)
    if not index.is_unique:
        raise ValueError(f"--data: {listed(shared)} do not name rows: {int(index.duplicated().sum()):,} are repeated")
    places = index.get_indexer(pd.MultiIndex.from_frame(left))
    if (places < 0).any():
        lost = left[places < 0].iloc[0].to_dict()
        raise ValueError(
            f"--data: {int((places < 0).sum()):,} of {len(scored):,} rows of {name} are not in it, the first is {lost}"
        )
    return data.iloc[places].reset_index(drop=True)


def _features(
    fitted: Fitted | None, rows: pd.DataFrame | None, apart: Sequence[str | None]
) -> tuple[Columns | None, pd.DataFrame | None]:
    if rows is None:
        return None, None
    columns = None if fitted is None else fitted.columns
    if columns is None:
        names = [name for name in rows.columns if name not in apart and not is_result(name)]
        if fitted is not None and hasattr(fitted.detector, "feature_names_in_"):
            names = fitted.detector.feature_names_in_.tolist()
            check_present(names, rows.columns)
        columns, _ = Columns.learn(rows, names, on_text="drop")
        wanted = len(columns.names) if fitted is None else fitted.detector.n_features_in_
        if wanted != len(columns.names):
            raise ValueError(
                f"--model takes {wanted} columns and the data have {len(columns.names)} of numbers: "
                f"{listed(columns.names)}; fit the model with odkit fit, which keeps their names"
            )
    return columns, columns.numbers(rows)[0]
