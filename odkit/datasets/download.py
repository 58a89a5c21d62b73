"""Downloading, on request only: files that lie unchanged in a public repository, each checked by its sha256."""

import json
import os
from pathlib import Path

from odkit.datasets.cards import Card, CardFile, card_ids, get_card
from odkit.datasets.store import fault_of, path, root_of

__all__ = ["fetch"]


def fetch(card_id: str, *, data_home: str | os.PathLike | None = None) -> Path:
    """Bring the files of a data set into the data folder (see `get_data_home`) and return what `path` returns.

    Files that are there and intact are kept. Needs `pip install "odkit[download]"`.

    Raises
    ------
    ValueError
        If there is no such card, a downloaded file has another sha256 than the card, or a file is no unchanged copy of
        a public one (re-saved archives), so that it cannot be downloaded.
    ImportError
        If pooch is not installed.
    """
    card = get_card(card_id)
    root = root_of(card, data_home)
    wanted = [file for file in card.files if fault_of(file, root)]
    hand_made = [file.path for file in wanted if not _public(card, file)]
    if hand_made:
        raise ValueError(
            f"fetch: {card_id}: {hand_made[0]} cannot be downloaded: it was re-saved from {card.source.repository} at "
            f"{card.source.commit} ({card.source.how}); put it into {root} by hand"
        )
    for file in wanted:
        _download(card, file, root)
    return path(card_id, data_home=data_home)


def _public(card: Card, file: CardFile) -> bool:
    return file.verbatim or _is_nab_labels(card, file)


def _is_nab_labels(card: Card, file: CardFile) -> bool:
    return card.format == "nab_csv" and file.role == "labels"


def _download(card: Card, file: CardFile, root: Path) -> None:
    try:
        import pooch
    except ImportError:
        raise ImportError('fetch: downloads need pooch; install it with pip install "odkit[download]"') from None
    url = f"https://raw.githubusercontent.com/{card.source.repository}/{card.source.commit}/{file.upstream}"
    here = root / file.path
    cut = _is_nab_labels(card, file)
    aside = here.with_name(here.name + ".part")
    pooch.retrieve(
        url,
        known_hash=None if cut else f"sha256:{file.sha256}",
        fname=aside.name,
        path=aside.parent,
    )
    if cut:
        aside.write_text(cut_nab_windows(aside.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    os.replace(aside, here)
    if fault := fault_of(file, root):
        here.unlink()
        raise ValueError(f"fetch: {card.id}: {fault[1]}; the source has changed, nothing was kept")


def cut_nab_windows(text: str) -> str:
    """The published windows of all NAB series, cut to the series that have a card."""
    known = {f"{card_id.removeprefix('nab/')}.csv" for card_id in card_ids() if card_id.startswith("nab/")}
    return json.dumps({name: windows for name, windows in json.loads(text).items() if name in known}, indent=1)
