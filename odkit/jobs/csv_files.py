"""CSV files: what pandas must be told to read them to the letter, and what can be wrong with them, in sentences."""

import csv
import gzip
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from odkit.jobs.formats import suffix_of
from odkit.jobs.selection import check_unique

__all__ = ["csv_errors", "csv_options", "read_csv"]

GAPS = (  # pandas' own words for a missing value
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "None", "n/a", "nan", "null"),
)


def read_csv(
    path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool
) -> pd.DataFrame:
    """A whole CSV file; see `odkit.jobs.tables.read`."""
    with csv_errors(path):
        names, options = csv_options(path, text, keys, delimiter, header)
        frame = pd.read_csv(path, **options)
    frame.columns = names
    return frame


def csv_options(
    path: Path, text: Collection[str], keys: Collection[str], delimiter: str | None, header: bool
) -> tuple[list[str], dict[str, Any]]:
    """The names of a CSV file's columns, and what to tell pandas so that it reads the file as `read` does."""
    if delimiter == "\\t":  # as it comes from a shell
        delimiter = "\t"
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"--delimiter {delimiter!r}: one character is needed, or \\t for the tab")
    options: dict[str, Any] = {"sep": delimiter or ("\t" if ".tsv" in suffix_of(path) else ","), "index_col": False}
    first = pd.read_csv(path, nrows=1, header=None, dtype=str, keep_default_na=False, **options)
    names = first.iloc[0].tolist() if header else [f"column_{j}" for j in range(first.shape[1])]
    if header:
        _check_header(path, names, options["sep"])
    check_unique(path, names)
    options["header"] = 0 if header else None
    labels = {name: name if header else position for position, name in enumerate(names)}
    options["dtype"] = {labels[name]: str for name in (*text, *keys) if name in names}
    if not labels.keys().isdisjoint(keys):
        options["keep_default_na"] = False
        options["na_values"] = {label: [""] if name in keys else GAPS for name, label in labels.items()}
    options["skip_blank_lines"] = len(names) > 1  # an empty line of a single column is a row with a gap
    options["low_memory"] = False  # one type per column, not one per piece of the file
    if int(pd.__version__.split(".")[0]) < 3:
        options["float_precision"] = "round_trip"  # later releases read floats exactly by themselves
    return names, options


@contextmanager
def csv_errors(path: Path) -> Iterator[None]:
    """What can be wrong with a CSV file, said in a sentence that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas cuts lines that are longer than the header
            yield
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name} is empty: no line with text in it") from None
    except pd.errors.ParserWarning:
        raise ValueError(
            f"{path.name} is no well-formed CSV file: its first row has more fields than its header has names; name "
            "every column, or remove the fields that are too many"
        ) from None
    except (pd.errors.ParserError, csv.Error) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(f"{path.name} is no well-formed CSV file: {reason}; mend or remove that line") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start}); convert it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is a damaged gzip file: {error}") from None


def _check_header(path: Path, names: list[str], delimiter: str) -> None:
    for other in (";", "\t", "|", ","):
        if len(names) == 1 and other != delimiter and other in names[0]:
            raise ValueError(
                f"{path.name} has one column, named {names[0][:60]!r}; if its fields are separated by {other!r}, "
                f"say --delimiter {'$' * (other == chr(9))}{other!r}"
            )
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"{path.name} begins with {', '.join(names[:4])}{', ...' * (len(names) > 4)}, which looks like a row and "
            "not like column names; say --no-header if it is one"
        )
    if "" in names:
        raise ValueError(f"{path.name}: column {names.index('') + 1} has no name; name it in the first line")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
