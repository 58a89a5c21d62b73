"""Where the files of a data set lie, and whether they are the files that the card names."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from odkit.datasets.cards import Card, CardFile
from odkit.datasets.home import get_data_home
from odkit.datasets.shelf import bundled_folder, card_ids, get_card, list_cards

__all__ = ["Check", "path", "rows", "verify"]


class Check(NamedTuple):
    """What `verify` found: `status` is "ok", "missing" or "mismatch", `detail` a sentence for the reader."""

    id: str
    status: str
    detail: str


def root_of(card: Card, data_home: str | os.PathLike | None = None) -> Path:
    """The folder that the card's file paths start from: the bundled samples or the data folder."""
    return bundled_folder("samples") if card.bundled else get_data_home(data_home)


def fault_of(file: CardFile, here: Path) -> tuple[str, str] | None:
    """None if the file at `here` is the card's, else ("missing" or "mismatch", what is wrong)."""
    if not here.is_file():
        return "missing", f"there is no file {here}"
    size = here.stat().st_size
    if size != file.bytes:
        return "mismatch", f"{here} has {size} bytes, the card says {file.bytes}"
    with here.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        return "mismatch", f"{here} has sha256 {digest}, the card says {file.sha256}"
    return None


def path(card_id: str, *, data_home: str | os.PathLike | None = None) -> Path:
    """The data file of a set, or the folder of a set with several; it can be given to `odkit score`.

    Raises
    ------
    ValueError
        If there is no such card.
    FileNotFoundError
        If the files are not there; the message says where they were looked for and how to get them.

    Examples
    --------
    >>> from odkit.datasets import path
    >>> path("samples/payments").name
    'payments.csv'
    """
    card = get_card(card_id, data_home=data_home)
    root = root_of(card, data_home)
    files = [file for file in card.files if file.role == "data"]
    for file in files:
        if not (root / file.path).is_file():
            raise FileNotFoundError(absent(card, file, root))
    first = root / files[0].path
    return first if len(files) == 1 else first.parent


def absent(card: Card, file: CardFile, root: Path) -> str:
    """The error message for a file that is not below `root`."""
    if card.bundled:
        remedy = "the installation is incomplete, repeat it"
    elif file.downloadable:
        remedy = f"set ODKIT_DATA_HOME to a folder that has it, or download it with odkit.datasets.fetch({card.id!r})"
    else:
        remedy = (
            "set ODKIT_DATA_HOME to a folder that has it (it was re-saved from "
            f"{card.source.repository} at {card.source.commit} and cannot be downloaded)"
        )
    return f"odkit.datasets: {card.id}: there is no {file.path} in {root}; {remedy}"


def rows(
    *, modality: str | None = None, suite: str | None = None, data_home: str | os.PathLike | None = None
) -> list[dict[str, Any]]:
    """One dict per data set for a table: id, modality, family, n, d, outlier_rate, licence, where.

    `where` is "bundled", "here" (all files lie in the data folder; not hashed) or "absent".
    """
    home = get_data_home(data_home)
    table = []
    for card in list_cards(modality, suite, data_home=data_home):
        here = all((home / file.path).is_file() for file in card.files)
        where = "bundled" if card.bundled else "here" if here else "absent"
        names = ("id", "modality", "family", "n", "d", "outlier_rate", "licence")
        table.append({name: getattr(card, name) for name in names} | {"where": where})
    return table


def verify(ids: Iterable[str] | None = None, *, data_home: str | os.PathLike | None = None) -> list[Check]:
    """Hash every file of the given data sets (default: all) and compare with the cards.

    Returns
    -------
    list of (id, status, detail)
        One per data set; status is "ok", "missing" (a file is not there) or "mismatch" (size or sha256 differ).
    """
    checks = []
    for card_id in card_ids(data_home) if ids is None else ids:
        card = get_card(card_id, data_home=data_home)
        root = root_of(card, data_home)
        faults = [fault for file in card.files if (fault := fault_of(file, root / file.path))]
        if faults:
            worst = min(faults)  # "mismatch" sorts before "missing" and is the worse news
            checks.append(Check(card_id, worst[0], "; ".join(detail for _, detail in faults)))
        else:
            checks.append(Check(card_id, "ok", f"{len(card.files)} file{'s' * (len(card.files) > 1)} in {root}"))
    return checks
