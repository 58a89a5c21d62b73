"""A file appears under its name whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a hidden file beside `path` for writing; it takes that name when the block ends without an error.

    The bytes reach the disk before the name does, so that neither a killed process nor a power cut leaves a part of
    them under `path`. After an error nothing is left, and what stood at `path` before still stands there. A symbolic
    link is followed: its target is replaced.
    """
    target = Path(os.path.realpath(path))
    # beside the target: a rename is atomic only within one file system
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    if os.name == "posix":
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Without this the new name itself can be lost, however safe the bytes are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
