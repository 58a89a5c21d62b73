"""Downloading, on request only: files that lie unchanged in a public repository, each checked by its sha256."""

import json
import os
from pathlib import Path
from urllib.parse import quote

from odkit.datasets.cards import Card, CardFile
from odkit.datasets.shelf import card_ids, get_card
from odkit.datasets.store import fault_of, path, root_of

__all__ = ["fetch"]

PUBLIC = "https://raw.githubusercontent.com"


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
    card = get_card(card_id, data_home=data_home)
    root = root_of(card, data_home)
    wanted = [file for file in card.files if fault_of(file, root / file.path)]
    hand_made = [file.path for file in wanted if not file.downloadable]
    if hand_made:
        raise ValueError(
            f"fetch: {card_id}: {hand_made[0]} cannot be downloaded: it was re-saved from {card.source.repository} at "
            f"{card.source.commit} ({card.source.how}); put it into {root} by hand"
        )
    for file in wanted:
        _download(card, file, root)
    return path(card_id, data_home=data_home)


def _download(card: Card, file: CardFile, root: Path) -> None:
    try:
        import pooch
    except ImportError:
        raise ImportError('fetch: downloads need pooch; install it with pip install "odkit[download]"') from None
    here = root / file.path
    aside = here.with_name(here.name + ".part")
    here.parent.mkdir(parents=True, exist_ok=True)
    url = f"{PUBLIC}/{card.source.repository}/{card.source.commit}/{quote(file.upstream)}"
    pooch.HTTPDownloader()(url, str(aside), None)
    if file.origin == "cut":
        aside.write_text(cut_nab_windows(aside.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    if fault := fault_of(file, aside):
        aside.unlink()
        raise ValueError(f"fetch: {card.id}: {fault[1]}; {url} is not the file that the card describes")
    os.replace(aside, here)


def cut_nab_windows(text: str) -> str:
    """The published windows of all NAB series, cut to the series that have a card."""
    known = {f"{card_id.removeprefix('nab/')}.csv" for card_id in card_ids() if card_id.startswith("nab/")}
    return json.dumps({name: windows for name, windows in json.loads(text).items() if name in known}, indent=1)
