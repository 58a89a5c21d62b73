"""From a data set to training rows, test rows and truth.

Labels stay here: a detector is handed training rows, later test rows, and nothing else.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from odkit.bench.config import Protocol
from odkit.datasets import Dataset

__all__ = ["Prepared", "Unsupported", "prepare", "row_facts", "scale"]

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}


class Unsupported(ValueError):
    """This data set cannot be run under this protocol; the message is the reason shown for the skipped cell."""


@dataclass(frozen=True)
class Prepared:
    """Rows as the detector sees them and truth as the metrics see it.

    `test` is None in_sample. `rows` are the positions of the scored rows in the data set's own test (or only) table.
    `ordered` rows are steps of a series. Images are tables of three axes; `masks` are the defective pixels of the
    scored ones.
    """

    train: NDArray
    test: NDArray | None
    is_outlier: NDArray[np.bool_]
    severity: NDArray[np.int64] | None
    rows: NDArray[np.intp]
    ordered: bool
    masks: NDArray[np.bool_] | None = None

    def as_rows(self, scaler: str, dtype: str) -> "Prepared":
        """Images as rows of pixels, for detectors that know no images."""
        train, test = (
            None if part is None else np.ascontiguousarray(part.reshape(len(part), -1), dtype=dtype)
            for part in (self.train, self.test)
        )
        assert train is not None
        train, test = scale(train, test, scaler)
        return replace(self, train=train, test=test)


def scale(train: NDArray, test: NDArray | None, scaler: str) -> tuple[NDArray, NDArray | None]:
    """Both tables through a scaler that has seen `train` only; a spread of 0 counts as 1."""
    if scaler == "none":
        return train, test
    fitted = SCALERS[scaler]().fit(train)
    return fitted.transform(train), None if test is None else fitted.transform(test)


def _stratified(is_outlier: NDArray[np.bool_], share: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Sorted positions of `share` of the outliers and of the inliers, at least one of each kind that occurs."""
    picked = []
    for kind in (is_outlier, ~is_outlier):
        members = np.flatnonzero(kind)
        if members.size:
            picked.append(rng.permutation(members)[: max(1, round(share * members.size))])
    return np.sort(np.concatenate(picked))


def _split(data: Dataset, protocol: Protocol, rng: np.random.Generator) -> tuple[NDArray, NDArray | None, NDArray]:
    """Training rows, test rows (None in_sample) and the scored rows' positions."""
    if protocol.mode == "in_sample":
        if data.X is None:
            raise Unsupported("in_sample needs one table, this data set comes split")
        return data.X, None, np.arange(len(data.X))
    if protocol.split in ("given", "prefix"):
        if data.train is None or data.test is None:
            raise Unsupported(f"split {protocol.split} needs a data set that comes split")
        return data.train, data.test, np.arange(len(data.test))
    if data.X is None:
        raise Unsupported("a stratified split needs one table, this data set comes split")
    rows = np.arange(len(data.X))
    if protocol.dedup:
        rows = np.flatnonzero(~pd.DataFrame(data.X).duplicated().to_numpy())
    chosen = _stratified(data.is_outlier[rows], protocol.test, rng)
    train_rows = np.delete(rows, chosen)
    if protocol.mode == "one_class":
        train_rows = train_rows[~data.is_outlier[train_rows]]
    return data.X[train_rows], data.X[rows[chosen]], rows[chosen]


def _binned(data: Dataset, seconds: int) -> Dataset:
    """The series on an even clock; a bin is anomalous if it meets an anomalous stretch, ends included."""
    if data.X is None or data.timestamps is None or data.windows is None:
        raise Unsupported(f"bins of {seconds} s need one table with time stamps")
    step = np.timedelta64(seconds, "s")
    first = data.timestamps.min()
    place = (data.timestamps - first) // step
    n = int(place.max()) + 1
    counts = np.bincount(place, minlength=n)
    with np.errstate(invalid="ignore"):
        X = np.stack([np.bincount(place, column, minlength=n) / counts for column in data.X.T], axis=1)
    X = np.where(counts[:, None] > 0, X, np.nanmean(X, axis=0))
    starts = first + np.arange(n) * step
    met = (starts[:, None] <= data.windows[:, 1]) & (starts[:, None] + step > data.windows[:, 0])
    return replace(data, X=X, timestamps=starts, is_outlier=met.any(axis=1))


def _as_series(data: Dataset, protocol: Protocol) -> Dataset:
    if protocol.bin_s is not None:
        data = _binned(data, protocol.bin_s)
    if protocol.channel is None:
        return data
    pick = slice(protocol.channel, protocol.channel + 1)

    def picked(table: NDArray | None) -> NDArray | None:
        return None if table is None else table[:, pick]

    return replace(data, X=picked(data.X), train=picked(data.train), test=picked(data.test))


def prepare(data: Dataset, protocol: Protocol, seed: int) -> Prepared:
    """Split, cap, cast and scale; the seed decides the split and the cap, whatever the detector.

    Raises
    ------
    Unsupported
        If the data set lacks what the protocol needs, or one of the two kinds of rows is missing from the test.
    """
    rng = np.random.default_rng(seed)
    data = _as_series(data, protocol)
    train, test, rows = _split(data, protocol, rng)
    ordered = data.card.modality == "series"
    if protocol.max_rows is not None and not ordered:
        if test is not None and len(rows) > protocol.max_rows:
            kept = _stratified(data.is_outlier[rows], protocol.max_rows / len(rows), rng)
            test, rows = test[kept], rows[kept]
        if len(train) > protocol.max_rows:
            kept = (
                _stratified(data.is_outlier[rows], protocol.max_rows / len(rows), rng)
                if test is None
                else np.sort(rng.permutation(len(train))[: protocol.max_rows])
            )
            train = train[kept]
            rows = rows[kept] if test is None else rows
    is_outlier = np.asarray(data.is_outlier, dtype=bool)[rows]
    if is_outlier.all() or not (is_outlier.any() or ordered):  # a series without an event still has false alarms
        raise Unsupported(
            f"{int(is_outlier.sum())} outliers among {is_outlier.size} scored rows; both kinds are needed"
        )
    if train.ndim == 2:  # images stay as they are stored
        train = np.ascontiguousarray(train, dtype=protocol.dtype)
        test = None if test is None else np.ascontiguousarray(test, dtype=protocol.dtype)
        train, test = scale(train, test, protocol.scaler)
    severity = None if data.severity is None else np.asarray(data.severity)[rows]
    masks = None if data.masks is None else data.masks[rows]
    return Prepared(train, test, is_outlier, severity, rows, ordered, masks)


def _row_keys(table: NDArray) -> NDArray:
    """A hash per row: by column for long tables, by row for wide ones."""
    if table.shape[1] <= 1000:
        return pd.util.hash_pandas_object(pd.DataFrame(table), index=False).to_numpy()
    return np.array([int.from_bytes(blake2b(row.tobytes(), digest_size=8).digest()) for row in table], dtype=np.uint64)


def row_facts(prepared: Prepared) -> dict[str, float]:
    """What to know about the rows before believing a score: duplicates, overlap, constant columns, bad cells."""
    train = prepared.train.reshape(len(prepared.train), -1)
    keys = _row_keys(train)
    overlap = 0.0
    if prepared.test is not None:
        overlap = float(np.isin(_row_keys(prepared.test.reshape(len(prepared.test), -1)), keys).mean())
    return {
        "train_dup": float(1 - np.unique(keys).size / keys.size),
        "test_overlap": overlap,
        "constant_columns": int((train.min(axis=0) == train.max(axis=0)).sum()),
        "non_finite": int((~np.isfinite(train)).sum()),
    }
