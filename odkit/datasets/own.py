"""A user's own labelled table becomes a data set like the others: a file, and a card that vouches for it."""

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.atomic import whole_file
from odkit.datasets.cards import Card
from odkit.datasets.home import get_data_home
from odkit.datasets.readers import load
from odkit.datasets.shelf import OWN, get_card, list_cards

__all__ = ["add_dataset"]

PROTOCOLS = ("in_sample", "contaminated/stratified", "one_class/stratified")
MOMENTS_AGREE = 1e-6  # relative; copies in another row order differ by rounding only


def add_dataset(
    name: str,
    X: ArrayLike,
    is_outlier: ArrayLike,
    *,
    family: str | None = None,
    feature_names: Sequence[str] = (),
    licence: str = "not stated",
    notes: str = "",
    data_home: str | os.PathLike | None = None,
) -> Card:
    """Write rows and labels into the data folder and give them a card, `own/NAME`; `load` and the harness know it.

    Parameters
    ----------
    name : str
        Letters, digits, `-` and `_`.
    X : array-like of shape (n_rows, n_columns)
        Finite or missing (NaN) numbers; float32 stays float32, anything else becomes float64.
    is_outlier : array-like of shape (n_rows,)
        Truth values, or 0 and 1. Both kinds must occur.
    family : str, default=the name
        Sets of one family count once in a comparison. If another set of the data folder has the same columns up to
        their order, its family is taken unless you give one, so that a copy under a new name is not a new vote.
    feature_names : sequence of str
    licence, notes : str
    data_home : path, optional

    Returns
    -------
    Card

    Raises
    ------
    ValueError
        If the name is taken or unfit, the labels are no labels of the rows, or the rows are no table of numbers.

    Examples
    --------
    >>> import tempfile
    >>> from odkit.datasets import add_dataset, load
    >>> home = tempfile.mkdtemp()
    >>> card = add_dataset("pumps", [[1.0], [2.0], [1.5], [9.0]], [0, 0, 0, 1], data_home=home)
    >>> card.id, card.family, load("own/pumps", data_home=home).X.shape
    ('own/pumps', 'pumps', (4, 1))
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"add_dataset: name is {name!r}; letters, digits, - and _ are allowed, such as 'pumps-2026'")
    folder = get_data_home(data_home) / OWN
    if (folder / f"{name}.toml").exists():
        raise ValueError(f"add_dataset: {OWN}/{name} is there already; delete {folder / name}.toml, or take a new name")
    rows, labels = _table(X, is_outlier)
    if feature_names and len(feature_names) != rows.shape[1]:
        raise ValueError(f"add_dataset: {len(feature_names)} feature names for {rows.shape[1]} columns")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=rows, y=labels.astype(np.uint8))
    content = buffer.getvalue()
    lines = {
        "id": f"{OWN}/{name}",
        "modality": "tabular",
        "family": family or _family_of_copy(rows, data_home) or name,
        "format": "rows_npz",
        "n": len(rows),
        "d": rows.shape[1],
        "outlier_rate": round(float(labels.mean()), 5),
        "protocols": list(PROTOCOLS),
        "licence": licence,
        "feature_names": [str(column) for column in feature_names],
        "notes": notes,
    }
    file = {
        "path": f"{OWN}/{name}.npz",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "origin": "re-saved",
    }
    source = {"repository": "your own", "commit": "", "how": "added by hand"}
    card = "\n".join([*_toml(lines), "", "[source]", *_toml(source), "", "[[files]]", *_toml(file), ""])
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / f"{name}.npz") as stream:
        stream.write(content)
    with whole_file(folder / f"{name}.toml") as stream:  # last: a card without its file would be a broken promise
        stream.write(card.encode())
    return get_card(f"{OWN}/{name}", data_home=data_home)


def _toml(table: Mapping[str, object]) -> list[str]:
    """Text, numbers and lists of text are written alike in JSON and in TOML."""
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


def _table(X: ArrayLike, is_outlier: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    rows = np.asarray(X)
    if rows.dtype != np.float32:
        try:
            rows = rows.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"add_dataset: X holds what is no number ({error}); encode such columns first") from None
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"add_dataset: X has shape {rows.shape}; rows and columns are needed, at least one of each")
    if np.isinf(rows).any():
        raise ValueError("add_dataset: X holds infinite values; NaN may stand for missing ones, infinity for nothing")
    given = np.asarray(is_outlier)
    if given.shape != (len(rows),):
        raise ValueError(f"add_dataset: is_outlier has shape {given.shape}, X has {len(rows)} rows; one label per row")
    import pandas as pd  # half a second, which only labels of one's own are worth

    missing = np.flatnonzero(pd.isna(given))
    if missing.size:
        raise ValueError(
            f"add_dataset: is_outlier is missing in {missing.size} rows, the first is row {missing[0]}; "
            "truth values, or 0 and 1, are needed in all; label these rows or leave them out"
        )
    kinds = set(given.tolist())
    if kinds != {0, 1}:
        shown = ", ".join(repr(kind) for kind in sorted(kinds, key=str)[:5])
        raise ValueError(
            f"add_dataset: is_outlier holds {shown}; truth values, or 0 and 1, are needed, and both must occur"
        )
    return rows, given.astype(bool)


def _family_of_copy(rows: NDArray[np.floating], data_home: str | os.PathLike | None) -> str | None:
    """The family of a set that is here and has the same shape and column moments, if there is one."""
    mine = _fingerprint(rows)
    for card in list_cards("tabular", data_home=data_home):
        if (card.n, card.d) != rows.shape:
            continue
        try:
            other = load(card.id, data_home=data_home, verify=False)
        except FileNotFoundError:
            continue
        theirs = [part for part in (other.X, other.train, other.test) if part is not None]
        if np.allclose(mine, _fingerprint(np.concatenate(theirs)), rtol=MOMENTS_AGREE, equal_nan=True):
            return card.family
    return None


def _fingerprint(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean and standard deviation per column, sorted: the same for any order of rows and of columns."""
    wide = rows.astype(np.float64)
    moments = np.stack([wide.mean(axis=0), wide.std(axis=0)], axis=1)
    return moments[np.lexsort(moments.T[::-1])]
