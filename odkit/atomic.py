"""A file appears under its name whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["sync_folder", "whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike, *, scratch: str | os.PathLike | None = None) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path` for writing; it takes that name when the block ends without an error.

    The bytes reach the disk before the name does, so that neither a killed process nor a power cut leaves a part of
    them under `path`. After an error nothing is left, and what stood at `path` before still stands there. A symbolic
    link is followed: its target is replaced. `scratch` names another folder of the same file system for the hidden
    file, so that whoever was killed finds what he left in one place.
    """
    target = Path(os.path.realpath(path))
    # beside the target: a rename is atomic only within one file system
    folder = target.parent if scratch is None else Path(scratch)
    aside = folder / f".{target.name}.{secrets.token_hex(4)}.tmp"
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # a full disk does not say for which file it had no room
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    if os.name == "posix":
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: without this a new name itself can be lost, however safe the bytes are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
