"""Fit on files, score files: one table in memory, one result.

What does not fit into memory is a job of parts; it shares `tables`, `columns` and `score_frame` with this file.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit.frame import score_frame
from odkit.jobs.columns import Columns
from odkit.jobs.fitted import Fitted
from odkit.jobs.inputs import relative
from odkit.jobs.progress import Progress, silent
from odkit.jobs.reasons import reasons
from odkit.jobs.rows import good_rows
from odkit.jobs.selection import Source, check_present, split_names
from odkit.jobs.significance import Significance
from odkit.jobs.tables import Table, read
from odkit.kernels.cpu.jit import NUMPY_CELLS
from odkit.scores import last_step
from odkit.series.base import is_series
from odkit.words import listed

__all__ = ["Scored", "fit", "score"]

BATCH = 65_536
ALIKE = "all scores are equal: nothing in these columns tells the rows apart"
ALONE = "a single row has no others to be compared with; fit on more rows, and score it with --model"
SHOWN = 3  # reasons per row of the list of the most anomalous


@dataclass(frozen=True)
class Scored:
    """The result of a job.

    Attributes
    ----------
    frame : ids (or `row`, counted from 0), `anomaly_score`, `is_outlier`, ...; one row per row of the files, in order
    top : the most anomalous rows as dicts: ids, `anomaly_score`, `is_outlier`, `p_value` where the detector has it,
        `reasons` (see `jobs.reasons`)
    detector : the fitted detector
    n_features : number of columns that it saw
    flagged, unscored : numbers of rows
    notes : sentences that a person should read
    """

    frame: pd.DataFrame
    top: list[dict[str, Any]]
    detector: Any
    n_features: int
    flagged: int
    unscored: int
    notes: list[str]


def fit(source: Source, detector: Any, *, on_text: str = "error", progress: Progress = silent) -> Fitted:
    """Fit a detector on files."""
    _check_one_series(source, detector)
    source, table = _read(source, (), progress)
    columns, X, good, notes = _fit(source, table, detector, on_text, progress)
    data = {
        "files": [{"name": Path(path).name, "bytes": Path(path).stat().st_size} for path in source.paths],
        "rows": int(good.sum()),
        "sha256": hashlib.sha256(X.to_numpy()[good].tobytes()).hexdigest(),
    }
    return Fitted(detector, columns, data, notes)


def score(
    source: Source,
    model: Any,
    *,
    on_text: str = "error",
    top: int = 10,
    explain: int = 0,
    significance: Significance = Significance(),  # noqa: B008  frozen
    progress: Progress = silent,
) -> Scored:
    """Score files with a model, or fit a detector on them first and score the same rows.

    Parameters
    ----------
    source : the files
    model : Fitted, or an unfitted detector
    on_text : "error", "drop" or "codes": what becomes of text columns when the detector is fitted here
    top : rows in the list of the most anomalous
    explain : reasons per row in the result's frame
    significance : whether p-values are wanted, and a false discovery rate for the flags
    progress : called with what is going on, rows done and rows in all
    """
    _check_one_series(source, model.detector if isinstance(model, Fitted) else model)
    significance.check(model.detector if isinstance(model, Fitted) else model, fitted=isinstance(model, Fitted))
    if isinstance(model, Fitted):
        text = [] if model.columns is None else model.columns.text
        source, table = _read(source, text, progress)
        detector = model.detector
        columns, X, notes = _apply(source, table, model)
        good = _good(source, detector, X)
    else:
        detector = model
        source, table = _read(source, (), progress)
        columns, X, good, notes = _fit(source, table, detector, on_text, progress)
    if explain and not hasattr(last_step(detector), "explain"):
        raise ValueError(f"{type(last_step(detector)).__name__} gives no reasons; leave --explain out")
    frame = _score_rows(detector, X if good.all() else X[good], explain, progress)
    if not isinstance(model, Fitted) and np.ptp(frame["anomaly_score"]) == 0:
        notes.append(ALONE if len(frame) == 1 else ALIKE)
    notes += significance.apply(frame, detector)
    listed_rows = frame["anomaly_score"].nlargest(top).index if top else frame.index[:0]
    keys = _keys(source, table, frame.columns)
    shown = [name for name in ("anomaly_score", "is_outlier", "p_value") if name in frame.columns]
    records = pd.concat([keys, frame[shown]], axis=1).loc[listed_rows].to_dict("records")
    flags = frame["is_outlier"]
    ordinary = X.loc[flags.index if flags.all() or is_series(detector) else flags.index[~flags]]
    try:
        parts = reasons(detector, columns, X.loc[listed_rows], table.frame, ordinary, top=SHOWN) if top else []
    except TypeError as error:  # it says why this detector or pipeline has no reasons
        notes.append(f"no reasons: {str(error).partition(': ')[2]}")
        parts = [[] for _ in records]
    unscored = int(len(good) - good.sum())
    if unscored:
        notes.append(f"{unscored:,} of {len(good):,} rows have missing or infinite values and got no score")
        frame = frame.astype({"is_outlier": "boolean"}).reindex(X.index)
    return Scored(
        frame=pd.concat([keys, frame], axis=1),
        top=[{**record, "reasons": part} for record, part in zip(records, parts, strict=True)],
        detector=detector,
        n_features=X.shape[1],
        flagged=int(frame["is_outlier"].sum()),
        unscored=unscored,
        notes=notes,
    )


def _check_one_series(source: Source, detector: Any) -> None:
    if len(source.paths) > 1 and is_series(detector):
        raise ValueError(
            f"{type(last_step(detector)).__name__} takes rows as the steps of a series, and {source.name} "
            "have no common clock; give one file at a time"
        )


def _read(source: Source, text: Sequence[str], progress: Progress) -> tuple[Source, Table]:
    """The source with its names of columns resolved, and its table; `text` is read as text, the ids to the letter."""
    progress(f"reading {source.name}", 0, 0)
    keys = [part for given in source.ids for part in (given, *split_names(given))]
    table = read(source.paths, text=text, keys=keys, delimiter=source.delimiter, header=source.header)
    return source.resolved(source.name, table.frame.columns), table


def _fit(
    source: Source, table: Table, detector: Any, on_text: str, progress: Progress
) -> tuple[Columns, pd.DataFrame, NDArray[np.bool_], list[str]]:
    """Fit the detector; its columns, the table as numbers, the rows without a gap, and notes."""
    names, left_out = source.features(table.frame.columns, table.beside)
    columns, dropped = Columns.learn(table.frame, names, on_text=on_text)
    X, _ = columns.numbers(table.frame)
    good = _good(source, detector, X)
    rows = X if good.all() else X[good]
    progress(f"fitting {type(last_step(detector)).__name__} on {len(rows):,} rows x {rows.shape[1]} columns", 0, 0)
    detector.fit(rows)
    notes = [f"left out, because they hold no numbers: {listed(dropped)}"] if dropped else []
    return columns, X, good, notes + left_out


def _apply(source: Source, table: Table, model: Fitted) -> tuple[Columns, pd.DataFrame, list[str]]:
    """The model's columns, the table as the model's numbers, and notes."""
    if source.columns:
        raise ValueError("--columns belongs to the fit; a model brings its own columns")
    apart = {*source.ids, *source.ignore, *table.beside}
    columns, notes = model.columns, list(model.notes)
    if columns is None:
        stored = getattr(model.detector, "feature_names_in_", None)
        names = source.features(table.frame.columns, table.beside)[0] if stored is None else stored.tolist()
        check_present(names, table.frame.columns)
        columns, _ = Columns.learn(table.frame, names)
        notes.append("the model brings no notes about its columns: what is usual is taken from this file")
    X, unseen = columns.numbers(table.frame)
    notes += [
        f"column {name!r} holds {listed(new)}, not seen at fit: counted as rarer than all"
        for name, new in unseen.items()
    ]
    unused = [name for name in table.frame.columns if name not in apart and name not in columns.names]
    if unused:
        notes.append(f"not used by the model: {listed(unused)}")
    return columns, X, notes


def _good(source: Source, detector: Any, X: pd.DataFrame) -> NDArray[np.bool_]:
    good = good_rows(source.name, detector, X, nan=source.nan)
    if not good.any():
        raise ValueError(f"{source.name}: every row has missing or infinite values; leave the emptiest columns out")
    return good


def _score_rows(detector: Any, X: pd.DataFrame, explain: int, progress: Progress) -> pd.DataFrame:
    if X.size >= NUMPY_CELLS:
        import_module("numba")  # no single batch is large enough to pay for it, all together are
    parts = []
    batch = len(X) if is_series(detector) else BATCH  # a time step needs its neighbours
    for start in range(0, len(X), batch):
        progress("scoring", start, len(X))
        parts.append(score_frame(detector, X.iloc[start : start + batch], top=explain))
    progress("scoring", len(X), len(X))
    return parts[0] if len(parts) == 1 else pd.concat(parts)


def _keys(source: Source, table: Table, own: Sequence[str]) -> pd.DataFrame:
    """What names a row: the ids or, without any, the file (of several) and the number of the row."""
    if source.ids:
        keys = table.frame[list(source.ids)].rename(columns={"is_outlier": "truth_is_outlier"})
        clash = [name for name in keys.columns if name in own or list(keys.columns).count(name) > 1]
        if clash:
            raise ValueError(f"--id: {clash[0]!r} is also a column of the result; rename it in the file")
        return keys
    rows = np.concatenate([np.arange(size) for size in table.sizes])
    files = (
        {"file": np.repeat(relative([Path(path) for path in source.paths]), table.sizes)}
        if len(source.paths) > 1
        else {}
    )
    return pd.DataFrame({**files, "row": rows})
