"""A card says what a data set is: its files with sha256, its shape, its share of outliers, its licence, its source.

Here is the schema of cards; `odkit.datasets.shelf` finds them by name.
"""

import hashlib
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = ["FORMATS", "MODALITIES", "PROTOCOLS", "Card", "CardFile", "Source", "read_card"]

MODALITIES = ("tabular", "image", "series", "severity", "weights")
PROTOCOLS = (  # mode, or mode/split
    "in_sample",
    "contaminated/stratified",
    "one_class/given",
    "one_class/stratified",
    "one_class/prefix",
)
FORMATS = (
    "digits_idx",
    "graded_csv",
    "images_npz",
    "nab_csv",
    "payments_csv",
    "rows_npz",
    "split_npz",
    "telemetry_csv",
    "ucr_txt",
    "weights_npz",
)
ROLES = ("data", "labels", "unused")
ORIGINS = ("verbatim", "cut", "re-saved", "generated")


@dataclass(frozen=True, slots=True)
class CardFile:
    """One file of a data set.

    Attributes
    ----------
    path : str
        Where the file lies below the data folder.
    bytes : int
    sha256 : str
    role : {"data", "labels", "unused"}
        "unused" files belong to the source and are read by nobody.
    upstream : str
        Path of the original in the source repository; empty for generated files.
    origin : {"verbatim", "cut", "re-saved", "generated"}
        The file is the original byte for byte; its entries for the data sets that have a card; its content in another
        format; or nobody's but odkit's. The first two can be downloaded.
    """

    path: str
    bytes: int
    sha256: str
    role: str = "data"
    upstream: str = ""
    origin: str = "re-saved"

    @property
    def downloadable(self) -> bool:
        """`fetch` can bring the file from its public source."""
        return self.origin in ("verbatim", "cut")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from: a public repository (owner/name), the commit, and how the files were cut."""

    repository: str
    commit: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known of a data set without opening it.

    Attributes
    ----------
    id : str
    modality : {"tabular", "image", "series", "severity", "weights"}
        "weights" are network weights that detectors use, no data set.
    family : str
        Correlated sets share a family and count once in a comparison.
    format : str
        Which reader opens the files; one of `FORMATS`.
    n, d : int
        Rows (time steps, images) in all, train and test together; columns (channels, pixels). For weights: the number
        of arrays and of parameters.
    n_train : int or None
        Rows of the given training part; None where the set comes in one piece.
    outlier_rate : float or None
        Share of outliers among the labelled rows (all rows, or the test part), 5 decimals; None for weights.
    protocols : tuple of str
        What the set can be used for, the default first; of `PROTOCOLS`.
    licence : str
    source : Source
    files : tuple of CardFile
    bundled : bool
        The files are small generated samples that come with odkit.
    feature_names : tuple of str
    normal : tuple of str
        The classes that count as normal, where the set has classes.
    levels : dict
        Severity level of each grade (as text), 0 = normal, where the set has grades.
    mask_edges : tuple of float
        Severity levels of images by the share of defective pixels: below the first edge 1, below the second 2, ...
    notes : str
    """

    id: str
    modality: str
    family: str
    format: str
    n: int
    d: int
    n_train: int | None = None
    outlier_rate: float | None = None
    protocols: tuple[str, ...] = ()
    licence: str
    source: Source
    files: tuple[CardFile, ...]
    bundled: bool = False
    feature_names: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    levels: dict[str, int] = field(default_factory=dict)
    mask_edges: tuple[float, ...] = ()
    notes: str = ""

    @property
    def sha256(self) -> str:
        """One sha256 for the whole set: the file's own, or the hash of all files' hashes in the card's order."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return hashlib.sha256("\n".join(file.sha256 for file in self.files).encode()).hexdigest()


def read_card(file: Path, card_id: str) -> Card:
    """The card in a TOML file, checked against the schema; every fault found is named."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"card {file}: not valid TOML: {error}") from None
    faults = _field_faults(Card, table, "")
    if not faults:
        faults = _field_faults(Source, table["source"], "source.")
        for number, entry in enumerate(table["files"]):
            faults += _field_faults(CardFile, entry, f"files[{number}].")
    if not faults:
        table["source"] = Source(**table["source"])
        table["files"] = tuple(CardFile(**entry) for entry in table["files"])
        lists = {name: tuple(value) for name, value in table.items() if isinstance(value, list)}
        card = Card(**table | lists)
        faults = _value_faults(card, card_id)
    if faults:
        raise ValueError(f"card {file}: {'; '.join(faults)}")
    return card


def _field_faults(kind: type, table: dict[str, Any], prefix: str) -> list[str]:
    known = {item.name: item for item in fields(kind)}
    needed = {n for n, item in known.items() if item.default is MISSING and item.default_factory is MISSING}
    faults = [f"unknown field {prefix}{name!s}" for name in table if name not in known]
    faults += [f"field {prefix}{name} is missing" for name in sorted(needed - set(table))]
    for name, value in table.items():
        wanted = _TOML_TYPES[known[name].type] if name in known else object
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
            faults.append(f"field {prefix}{name} is {value!r}, of type {type(value).__name__}")
    return faults


_TOML_TYPES: dict[Any, Any] = {
    str: str,
    int: int,
    bool: bool,
    int | None: int,
    float | None: (int, float),
    tuple[str, ...]: list,
    tuple[float, ...]: list,
    tuple[CardFile, ...]: list,
    dict[str, int]: dict,
    Source: dict,
}


def _value_faults(card: Card, card_id: str) -> list[str]:
    faults = []
    if card.id != card_id:
        faults.append(f"id is {card.id!r} but the file says {card_id!r}")
    for name, value, allowed in [
        ("modality", card.modality, MODALITIES),
        ("format", card.format, FORMATS),
        *(("protocols", protocol, PROTOCOLS) for protocol in card.protocols),
        *(("files.role", file.role, ROLES) for file in card.files),
        *(("files.origin", file.origin, ORIGINS) for file in card.files),
    ]:
        if value not in allowed:
            faults.append(f"{name} is {value!r}, allowed are {', '.join(allowed)}")
    if min(card.n, card.d) < 1 or not 0 <= (card.n_train or 0) < card.n:
        faults.append(f"n {card.n}, n_train {card.n_train}, d {card.d} are no counts of rows and columns")
    if card.modality != "weights":
        if card.outlier_rate is None or not 0 <= card.outlier_rate <= 1:
            faults.append(f"outlier_rate is {card.outlier_rate!r}, a share between 0 and 1 is needed")
        if not card.protocols:
            faults.append("protocols is empty")
    if not any(file.role == "data" for file in card.files):
        faults.append("no file has the role 'data'")
    for file in card.files:
        if len(file.sha256) != 64 or set(file.sha256) - set("0123456789abcdef"):
            faults.append(f"files: {file.path} has sha256 {file.sha256!r}, 64 hexadecimal digits are needed")
        if file.path.startswith("/") or ".." in file.path.split("/"):
            faults.append(f"files: {file.path} leaves the data folder")
    return faults
