"""From the columns of a file to the numbers of a detector, the same way at fit and ever after.

`Columns.learn` decides once which columns are features and how text becomes numbers, and keeps what is usual in each of
them, for people to read beside a reason. It travels with the model as plain JSON.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit.jobs.selection import check_present
from odkit.words import listed

__all__ = ["ON_TEXT", "Columns", "Feature"]

ON_TEXT = ("error", "drop", "codes")
MAX_CATEGORIES = 1000
USUAL_ROWS = 10_000  # quantiles for people; more rows would cost a sort and change no digit that is shown
LEVELS = (0.05, 0.5, 0.95)
NESTED = (dict, list, tuple, np.ndarray)  # what lists and structs of Parquet come as


@dataclass(frozen=True)
class Feature:
    """A column that the detector sees.

    Attributes
    ----------
    name : str
    categories : tuple of str, or None for a column of numbers
        The texts seen at fit, from the most to the least frequent (equally frequent ones by alphabet). The code of a
        text is its place here, so that a larger code means a rarer text. A text that was not seen at fit gets the
        place after the last: it is rarer than all.
    usual : tuple of float
        Of numbers, the 5 %, 50 % and 95 % quantiles (over at most 10,000 evenly spaced rows of the fit); of texts, the
        share of each category.
    """

    name: str
    categories: tuple[str, ...] | None
    usual: tuple[float, ...]


@dataclass(frozen=True)
class Columns:
    """The features of a model, in order."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]

    @property
    def text(self) -> list[str]:
        """The columns that are read as text."""
        return [feature.name for feature in self.features if feature.categories is not None]

    @classmethod
    def learn(cls, frame: pd.DataFrame, names: Sequence[str], *, on_text: str = "error") -> tuple[Self, list[str]]:
        """The columns `names` of a frame as features; returns them and the names that `on_text="drop"` left out.

        Raises
        ------
        ValueError
            If a column holds neither numbers nor text, or text with `on_text="error"`, or as many different texts as
            an identifier has.
        """
        kinds = {name: _kind(frame[name]) for name in names}
        odd = [name for name in names if kinds[name] != "numbers"]
        if odd and on_text == "error":
            example = frame[odd[0]].dropna()
            shown = f" ({str(example.iloc[0])[:40]!r})" if len(example) else ""
            codes = "codes (a text becomes its rank by frequency) or --on-text " * ("text" in kinds.values())
            raise ValueError(
                f"column{'s' * (len(odd) > 1)} {listed(odd)} hold{'s' * (len(odd) == 1)} {kinds[odd[0]]}{shown}, and "
                f"detectors take numbers; say --on-text {codes}drop, or name the column in --id (it names the row) or "
                "--ignore"
            )
        dropped = odd if on_text == "drop" else []
        features = tuple(_learn(frame[name], kinds[name]) for name in names if name not in dropped)
        if not features:
            raise ValueError(f"no column of numbers is left; the columns are {listed(frame.columns)}")
        return cls(features), dropped

    def numbers(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[str]]]:
        """The features of a frame as float64, and the texts not seen at fit, by column.

        Raises
        ------
        ValueError
            If columns are missing, or hold text where numbers were learnt.
        """
        check_present(self.names, frame.columns)
        matrix = np.empty((len(frame), len(self.features)))
        unseen = {}
        for j, feature in enumerate(self.features):
            column = frame[feature.name]
            if feature.categories is not None:
                matrix[:, j], new = _codes(column, feature.categories)
                if new:
                    unseen[feature.name] = new
            elif (kind := _kind(column)) != "numbers":
                texts = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
                example = f" ({str(texts.iloc[0])[:40]!r} in row {texts.index[0]})" if len(texts) else ""
                raise ValueError(f"column {feature.name!r} was numbers at fit and holds {kind} here{example}; mend it")
            else:
                matrix[:, j] = _floats(column)
        return pd.DataFrame(matrix, columns=self.names, index=frame.index, copy=False), unseen

    @classmethod
    def of_numbers(cls, names: Sequence[str]) -> Self:
        """Columns of numbers of which nothing but the names is known: those of a model that brings no notes."""
        return cls(tuple(Feature(name, None, (np.nan,) * len(LEVELS)) for name in names))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values for a model file."""
        return [
            {"name": feature.name, "categories": feature.categories, "usual": list(feature.usual)}
            for feature in self.features
        ]

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """The columns that `to_json` wrote, or a ValueError: what a model file says is not believed unseen."""
        try:
            features = [
                Feature(
                    entry["name"],
                    None if entry["categories"] is None else tuple(entry["categories"]),
                    tuple(map(float, entry["usual"])),
                )
                for entry in stored
            ]
            for feature in features:
                texts = (feature.name, *(feature.categories or ()))
                wanted = len(LEVELS) if feature.categories is None else len(feature.categories)
                if not all(type(text) is str for text in texts) or len(feature.usual) != wanted:
                    raise ValueError(f"column {feature.name!r}")
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"the model's notes about its columns are damaged ({error}); fit it again") from None
        return cls(tuple(features))


def _kind(column: pd.Series) -> str:
    """What a column holds, in a word for people: "numbers", "text", or what it is instead."""
    if column.dtype.kind in "biuf":
        return "numbers"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in ("integer", "floating", "mixed-integer-float", "boolean", "empty"):
        return "numbers"
    if inferred == "mixed" and column.dropna().map(lambda value: isinstance(value, NESTED)).any():
        return "nested values"
    if inferred in ("string", "categorical", "mixed-integer", "mixed"):
        return "text"
    return {"datetime64": "times", "datetime": "times", "timedelta64": "durations"}.get(inferred, f"{inferred} values")


def _floats(column: pd.Series) -> NDArray[np.float64]:
    if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=np.float64)  # told what a missing value is, pandas looks for some, and copies
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(column: pd.Series) -> list[str | None]:
    return [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _learn(column: pd.Series, kind: str) -> Feature:
    name = str(column.name)
    if kind == "numbers":
        values = _floats(column[:: max(1, -(-len(column) // USUAL_ROWS))])
        values = values[np.isfinite(values)]
        quantiles = np.quantile(values, LEVELS) if values.size else np.zeros(len(LEVELS))
        return Feature(name, None, tuple(quantiles.tolist()))
    if kind != "text":
        raise ValueError(
            f"column {name!r} holds {kind}, which have no codes; name it in --id or --ignore, or convert it"
        )
    counts = Counter(text for text in _texts(column) if text is not None)
    total = counts.total()
    if len(counts) > MAX_CATEGORIES or (len(counts) > 20 and len(counts) > total / 2):
        raise ValueError(
            f"column {name!r} holds {len(counts)} different texts in {total} rows, as an identifier does; codes are "
            f"for at most {MAX_CATEGORIES} that repeat. Name it in --id (it names the row) or --ignore"
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Feature(name, tuple(text for text, _ in ranked), tuple(count / total for _, count in ranked))


def _codes(column: pd.Series, categories: Collection[str]) -> tuple[NDArray[np.float64], list[str]]:
    """The place of each text among the categories (missing: NaN), and the texts that are not among them."""
    places = {text: float(place) for place, text in enumerate(categories)}
    texts = _texts(column)
    after_last = float(len(places))
    codes = np.array([np.nan if text is None else places.get(text, after_last) for text in texts])
    return codes, sorted({text for text in texts if text is not None and text not in places})
