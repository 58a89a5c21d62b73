"""The cards of all data sets, found by their ids and by suites.

Cards are TOML files in `datasets/cards/` of a checkout and `odkit/datasets/cards/` of an installed package; the id of a
card is its path there without the suffix. Cards of a user's own sets (`add_dataset`) lie beside their files, in the
folder `own` of the data folder. Nothing here opens a data file.
"""

import hashlib
import os
import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from odkit.datasets.cards import MODALITIES, Card, read_card
from odkit.datasets.home import get_data_home

__all__ = ["OWN", "bundled_folder", "card_ids", "get_card", "list_cards", "suite", "suite_sha256", "suites"]

OWN = "own"  # folder of the data folder with the sets that a user has added


def bundled_folder(name: str) -> Path:
    """The folder `cards` or `samples`: inside an installed package, or under `datasets/` of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parents[1] / "datasets" / name


def get_card(card_id: str, *, data_home: str | os.PathLike | None = None) -> Card:
    """The card of one data set; `data_home` (see `get_data_home`) is where a user's own cards are looked for.

    Raises
    ------
    ValueError
        If there is no such card (the message names the nearest ones) or the card breaks the schema.

    Examples
    --------
    >>> from odkit.datasets import get_card
    >>> card = get_card("adbench/32_shuttle")
    >>> card.n, card.d, card.outlier_rate, card.source.repository
    (49097, 9, 0.07151, 'Minqi824/ADBench')
    """
    known = card_ids(data_home)
    if card_id not in known:
        raise ValueError(_unknown("data set", card_id, known, "odkit datasets list"))
    own = card_id.startswith(f"{OWN}/")
    folder = get_data_home(data_home) if own else bundled_folder("cards")
    return read_card(folder.joinpath(*f"{card_id}.toml".split("/")), card_id)


def list_cards(
    modality: str | None = None, suite: str | None = None, *, data_home: str | os.PathLike | None = None
) -> list[Card]:
    """All cards, or those of one modality or one suite, ordered by id (a suite keeps its own order)."""
    if modality is not None and modality not in MODALITIES:
        raise ValueError(f"list_cards: unknown modality {modality!r}; there are {', '.join(MODALITIES)}")
    ids = card_ids(data_home) if suite is None else _suite_ids(suite)
    cards = [get_card(card_id, data_home=data_home) for card_id in ids]
    return [card for card in cards if modality in (None, card.modality)]


def suites() -> dict[str, tuple[str, ...]]:
    """Every suite by its name and version, with the ids of its data sets."""
    with bundled_folder("cards").joinpath("suites.toml").open("rb") as file:
        return {name: tuple(table["cards"]) for name, table in tomllib.load(file).items()}


def suite(name: str) -> tuple[str, ...]:
    """The ids of a suite. A suite never changes: a change makes a new version, "smoke-v2"; "smoke" means the newest.

    Examples
    --------
    >>> from odkit.datasets import suite
    >>> len(suite("tabular-adbench-v1")), suite("severity")[0]
    (28, 'severity/winequality-red')
    """
    known = suites()
    if name in known:
        return known[name]
    versions = {int(full.rpartition("-v")[2]): full for full in known if full.rpartition("-v")[0] == name}
    if not versions:
        raise ValueError(_unknown("suite", name, tuple(known), "odkit.datasets.suites()"))
    return known[versions[max(versions)]]


def suite_sha256(name: str) -> str:
    """One sha256 over the ids and the files of a suite: two runs on the same hash saw the same data."""
    lines = [f"{card_id} {get_card(card_id).sha256}" for card_id in suite(name)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


_suite_ids = suite  # list_cards has a parameter of that name


def card_ids(data_home: str | os.PathLike | None = None) -> tuple[str, ...]:
    """The ids of all cards, sorted, odkit's own before the user's; no file is opened."""
    folder = get_data_home(data_home) / OWN
    own = sorted(f"{OWN}/{file.stem}" for file in folder.glob("*.toml"))
    return _bundled_ids() + tuple(own)


@cache
def _bundled_ids() -> tuple[str, ...]:
    root = bundled_folder("cards")
    found = sorted(file.relative_to(root).as_posix().removesuffix(".toml") for file in root.glob("*/**/*.toml"))
    if not found:
        raise FileNotFoundError(
            f"odkit.datasets: no cards in {root}; the installation is incomplete, install odkit again"
        )
    return tuple(found)


def _unknown(kind: str, name: str, known: tuple[str, ...], listing: str) -> str:
    near = [other for other in known if name and name.lower() in other.lower()][:3]
    near = near or get_close_matches(name, known, n=3, cutoff=0.5)
    if not near:
        short = {other.rpartition("/")[2].lower(): other for other in known}
        near = [short[match] for match in get_close_matches(name.rpartition("/")[2].lower(), short, n=3, cutoff=0.5)]
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    return f"odkit.datasets: there is no {kind} {name!r}{hint}; {listing} names them all"
