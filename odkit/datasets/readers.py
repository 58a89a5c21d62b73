"""From files to arrays: one small reader per format, and `load`, which checks what they read against the card."""

import csv
import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.datasets.cards import Card
from odkit.datasets.shelf import get_card
from odkit.datasets.store import absent, fault_of, root_of

__all__ = ["Dataset", "load"]

STAMP = "datetime64[s]"


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set in memory. It has either `X`, or `train` and `test`; what it does not have is None.

    Attributes
    ----------
    name : str
        The id of the card.
    card : Card
    X : ndarray of shape (n, d), or (n, height, width) for images
        float32 as stored, other numbers as float64; images stay uint8.
    train, test : ndarrays of shape (n_train, d) and (n_test, d)
        The split that comes with the set; `train` holds no known outliers.
    is_outlier : ndarray of bool
        The truth for each row of `X`, or of `test`.
    severity : ndarray of int, same length
        0 = normal, higher = worse.
    timestamps : ndarray of datetime64[s], same length
    windows : ndarray of datetime64[s], shape (n_windows, 2)
        The anomalous stretches, both ends inclusive.
    masks : ndarray of bool, shape of `X`
        The defective pixels. A defect may have an empty mask.
    classes : ndarray of str, same length as `is_outlier`
        The class of each row (digit, kind of defect, kind of planted anomaly), where the set has classes.
    feature_names : tuple of str
    """

    name: str
    card: Card
    is_outlier: NDArray[np.bool_]
    X: NDArray | None = None
    train: NDArray | None = None
    test: NDArray | None = None
    severity: NDArray[np.int64] | None = None
    timestamps: NDArray[np.datetime64] | None = None
    windows: NDArray[np.datetime64] | None = None
    masks: NDArray[np.bool_] | None = None
    classes: NDArray[np.str_] | None = None
    feature_names: tuple[str, ...] | None = None


def load(card_id: str, *, data_home: str | os.PathLike | None = None, verify: bool = True) -> Dataset:
    """Read a data set from the data folder (see `get_data_home`); nothing is downloaded.

    Parameters
    ----------
    card_id : str
        Such as "adbench/32_shuttle"; `odkit datasets list` names them all.
    data_home : path, optional
    verify : bool, default=True
        Hash the files first; a file that is not the card's is an error. Shape and share of outliers are compared in
        any case.

    Raises
    ------
    ValueError
        If there is no such card, or a file's sha256, the shape or the share of outliers is not the card's: the message
        has both values.
    FileNotFoundError
        If a file is not there; the message says how to get it.

    Examples
    --------
    >>> from odkit.datasets import load
    >>> payments = load("samples/payments")
    >>> payments.X.shape, int(payments.is_outlier.sum())
    ((3000, 7), 30)
    """
    card = get_card(card_id, data_home=data_home)
    if card.format not in _READERS:
        raise ValueError(f"load: {card_id} is no data set but network weights; odkit.datasets.path names its file")
    root = root_of(card, data_home)
    for file in card.files:
        if file.role == "unused":
            continue
        if not (root / file.path).is_file():
            raise FileNotFoundError(absent(card, file, root))
        if verify and (fault := fault_of(file, root / file.path)):
            raise ValueError(
                f"load: {card_id}: {fault[1]}; restore the file, or say verify=False to read it all the same"
            )
    paths = {role: [root / file.path for file in card.files if file.role == role] for role in ("data", "labels")}
    dataset = Dataset(
        name=card_id, card=card, feature_names=card.feature_names or None, **_READERS[card.format](card, **paths)
    )
    _compare(dataset)
    return dataset


def _compare(dataset: Dataset) -> None:
    card, is_outlier = dataset.card, dataset.is_outlier
    labelled = dataset.X if dataset.X is not None else dataset.test
    assert labelled is not None  # every reader gives one of the two
    n_train = 0 if dataset.train is None else len(dataset.train)
    found = {
        "n": len(labelled) + n_train,
        "n_train": n_train,
        "d": int(np.prod(labelled.shape[1:])),
        "number of labels": len(is_outlier),
        "outlier_rate": round(float(is_outlier.mean()), 5),
    }
    stated = {
        "n": card.n,
        "n_train": card.n_train or 0,
        "d": card.d,
        "number of labels": len(labelled),
        "outlier_rate": card.outlier_rate,
    }
    wrong = [f"{name} is {found[name]}, the card says {stated[name]}" for name in found if found[name] != stated[name]]
    if wrong:
        raise ValueError(f"load: {card.id}: {'; '.join(wrong)}")


def _numbers(array: NDArray) -> NDArray:
    """C-order; float32 as stored, everything else as float64."""
    return np.ascontiguousarray(array, dtype=np.float32 if array.dtype == np.float32 else np.float64)


def _rows_npz(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    with np.load(data[0], allow_pickle=False) as archive:
        return {"X": _numbers(archive["X"]), "is_outlier": archive["y"] == 1}


def _split_npz(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    with np.load(data[0], allow_pickle=False) as archive:
        return {
            "train": _numbers(archive["train"]),
            "test": _numbers(archive["test"]),
            "is_outlier": archive["test_labels"] == 1,
        }


def _images_npz(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """Archives with `image` and `mask`; the class of an image is in `kind`, or is the file's name up to its number."""
    images, masks, classes = [], [], []
    for file in data:
        with np.load(file, allow_pickle=False) as archive:
            images.append(archive["image"])
            masks.append(archive["mask"])
            group = file.stem.rpartition("_")[0]
            classes.append(archive["kind"] if "kind" in archive.files else np.full(len(archive["image"]), group))
    is_outlier = ~np.isin(np.concatenate(classes), card.normal)
    covered = np.concatenate(masks).mean(axis=(1, 2))
    return {
        "X": np.concatenate(images),
        "masks": np.concatenate(masks),
        "classes": np.concatenate(classes),
        "is_outlier": is_outlier,
        "severity": np.where(is_outlier, 1 + np.searchsorted(card.mask_edges, covered, side="right"), 0),
    }


def _digits_idx(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    images, digits = _idx(data[0]), _idx(labels[0]).astype(str)
    return {"X": images, "classes": digits, "is_outlier": ~np.isin(digits, card.normal)}


def _idx(file: Path) -> NDArray[np.uint8]:
    """An IDX file: two zero bytes, the type (8 = uint8), the number of axes, their lengths as big-endian int32."""
    raw = gzip.decompress(file.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"load: {file} is no IDX file of bytes: it starts with {raw[:4].hex()}, 000008 is needed")
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def _nab_csv(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """Columns timestamp,value; the label file maps "group/file.csv" to inclusive windows."""
    with data[0].open(newline="") as file:
        stamps, values = zip(*list(csv.reader(file))[1:], strict=True)
    windows = json.loads(labels[0].read_text())[f"{data[0].parent.name}/{data[0].name}"]
    return _stamped(np.array(stamps, STAMP), np.array(values, np.float64)[:, None], windows)


def _telemetry_csv(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """A column timestamp and one per channel; the label file has a row per event: start, stop (inclusive), ..."""
    with data[0].open(newline="") as file:
        stamps, *channels = zip(*list(csv.reader(file))[1:], strict=True)
    with labels[0].open(newline="") as file:
        windows = [(row["start"], row["stop"]) for row in csv.DictReader(file)]
    return _stamped(np.array(stamps, STAMP), np.array(channels, np.float64).T.copy(), windows)


def _stamped(timestamps: NDArray[np.datetime64], X: NDArray, windows: list) -> dict[str, Any]:
    pairs = np.array([[end.partition(".")[0] for end in pair] for pair in windows], STAMP).reshape(-1, 2)
    inside = (timestamps[:, None] >= pairs[:, 0]) & (timestamps[:, None] <= pairs[:, 1])
    return {"X": X, "timestamps": timestamps, "windows": pairs, "is_outlier": inside.any(axis=1)}


def _ucr_txt(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """One value a line; the name ends in the training length and the half-open anomalous range, counted from 0."""
    values = np.loadtxt(data[0])[:, None]
    split, start, stop = (int(part) for part in data[0].stem.split("_")[-3:])
    is_outlier = np.zeros(len(values), bool)
    is_outlier[start:stop] = True
    return {"train": values[:split], "test": values[split:], "is_outlier": is_outlier[split:]}


def _graded_csv(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """Numbers without a header; the last column is the grade, which the card maps to a severity level."""
    table = np.loadtxt(data[0], delimiter=",", ndmin=2)
    grades = table[:, -1].astype(int).astype(str)
    severity = np.array([card.levels[grade] for grade in grades])
    return {"X": table[:, :-1].copy(), "classes": grades, "severity": severity, "is_outlier": severity > 0}


def _payments_csv(card: Card, data: list[Path], labels: list[Path]) -> dict[str, Any]:
    """The numeric columns that the card names; the label file has a row per planted payment: payment_id, kind, ..."""
    with data[0].open(newline="") as file:
        table = list(csv.DictReader(file))
    with labels[0].open(newline="") as file:
        kinds = {row["payment_id"]: row["kind"] for row in csv.DictReader(file)}
    classes = np.array([kinds.get(row["payment_id"], "ordinary") for row in table])
    X = np.array([[float(row[name]) for name in card.feature_names] for row in table])
    return {"X": X, "classes": classes, "is_outlier": classes != "ordinary"}


_READERS: dict[str, Callable[..., dict[str, Any]]] = {
    "digits_idx": _digits_idx,
    "graded_csv": _graded_csv,
    "images_npz": _images_npz,
    "nab_csv": _nab_csv,
    "payments_csv": _payments_csv,
    "rows_npz": _rows_npz,
    "split_npz": _split_npz,
    "telemetry_csv": _telemetry_csv,
    "ucr_txt": _ucr_txt,
}
