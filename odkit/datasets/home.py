"""The folder that holds the data sets of this machine."""

import os
import sys
from pathlib import Path

__all__ = ["get_data_home"]


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """The folder with the data sets; it need not exist.

    The argument decides, else the environment variable `ODKIT_DATA_HOME`, else `../shared/data` beside a checkout where
    there is one, else the user's cache folder, where `fetch` puts what it downloads.
    """
    chosen = data_home or os.environ.get("ODKIT_DATA_HOME")
    if chosen:
        return Path(chosen).expanduser()
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return beside if beside.is_dir() else _cache_folder()


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base.expanduser() / "odkit" / "data"
