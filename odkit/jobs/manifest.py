"""The output folder of a job: what is planned, what is done, and proof of both.

    part-00000-00000-<8 digits>.parquet   results
    _manifest.json                        the plan: written before the first part
    _parts/00000-00000-<8 digits>.json    one record per part: written after the part is in place
    _SUCCESS                              totals: written last
    .lock, .tmp/                          one writer at a time, and its unfinished files

Every file appears under its name whole (`atomic.whole_file`). A process that dies between a part and its record leaves
a part without record, which is made again under the same name. Names that begin with `_` or `.` are skipped by pyarrow,
pandas, Dask and Spark, so that the folder can be read as a data set at any time.
"""

import fcntl
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pyarrow import ArrowException, parquet

from odkit.atomic import sync_folder, whole_file
from odkit.jobs.plan import PART_NAME, Input, owner
from odkit.words import listed

__all__ = ["Folder", "JobLocked", "JobRefused"]

MANIFEST, SUCCESS, RECORDS, LOCK, SCRATCH = "_manifest.json", "_SUCCESS", "_parts", ".lock", ".tmp"
FORMAT = "odkit-job"
FORMAT_VERSION = 1


class JobRefused(ValueError):
    """The folder belongs to another job, or the inputs are not those of this one; nothing was changed."""


class JobLocked(RuntimeError):
    """Another process writes to the folder."""


class Folder:
    """The output folder of a job."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def manifest(self) -> dict[str, Any] | None:
        """The plan that stands in the folder, None in a new or empty one; a foreign folder is refused."""
        if self.path.exists() and not self.path.is_dir():
            raise JobRefused(f"cannot write to {self.path}: it is a file; a job writes to a folder")
        try:
            found = json.loads((self.path / MANIFEST).read_bytes())
        except FileNotFoundError:
            self._check_empty()
            return None
        except ValueError as error:
            raise JobRefused(f"{self.path / MANIFEST} is damaged ({error}); choose another folder") from None
        if not isinstance(found, dict) or (found.get("format"), found.get("version")) != (FORMAT, FORMAT_VERSION):
            raise JobRefused(f"{self.path / MANIFEST} is no plan that this odkit knows; choose another folder")
        return found

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder where it is missing, and be its only writer; the lock goes with the process."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / LOCK, "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise JobLocked(
                    f"another job ({file.read().strip() or 'unknown process'}) writes to {self.path}; wait for it, or "
                    "choose another folder"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            shutil.rmtree(self.path / SCRATCH, ignore_errors=True)
            (self.path / SCRATCH).mkdir()
            (self.path / RECORDS).mkdir(exist_ok=True)
            try:
                yield
            finally:
                shutil.rmtree(self.path / SCRATCH, ignore_errors=True)

    def check_own(self, inputs: Sequence[Input]) -> None:
        """Refuse a folder that holds visible files of others: they would be read as results."""
        strange = [
            entry.name
            for entry in sorted(self.path.iterdir())
            if entry.name[0] not in "_." and owner(_part_name(entry.name), inputs) is None
        ]
        if strange:
            raise JobRefused(f"{self.path} also holds {listed(strange)}, which no job of odkit wrote; move it away")

    def write_manifest(self, content: dict[str, Any]) -> None:
        self._write_json(self.path / MANIFEST, {"format": FORMAT, "version": FORMAT_VERSION, **content})

    def write_record(self, name: str, record: dict[str, Any]) -> None:
        self._write_json(self.path / RECORDS / f"{name}.json", record)

    def write_success(self, totals: dict[str, Any]) -> None:
        self._write_json(self.path / SUCCESS, totals)

    def records(self) -> dict[str, dict[str, Any]]:
        """All readable records by the name of their part."""
        found = {}
        for path in (self.path / RECORDS).glob("*.json"):
            try:
                record = json.loads(path.read_bytes())
            except ValueError:
                continue  # as if there were none: the part is made again
            if isinstance(record, dict):
                found[path.stem] = record
        return found

    @contextmanager
    def new_part(self, name: str) -> Iterator[BinaryIO]:
        with whole_file(self.part(name), scratch=self.path / SCRATCH) as file:
            yield file

    def part(self, name: str) -> Path:
        return self.path / f"part-{name}.parquet"

    def proof(self, name: str) -> dict[str, Any]:
        """What a record says about the bytes of a part."""
        with open(self.part(name), "rb") as file:
            return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}

    def holds(self, name: str, record: dict[str, Any], *, verify: bool) -> bool:
        """Whether the part is there as its record says: by size and footer, or by every byte."""
        path = self.part(name)
        try:
            if path.stat().st_size != record["bytes"] or parquet.read_metadata(path).num_rows != record["rows"]:
                return False
            return not verify or self.proof(name)["sha256"] == record["sha256"]
        except (OSError, ArrowException, KeyError):
            return False

    def unfinish(self) -> None:
        (self.path / SUCCESS).unlink(missing_ok=True)
        sync_folder(self.path)

    def forget(self, inputs: Sequence[Input], numbers: Sequence[int]) -> None:
        """Delete the parts of the files with these numbers, and their records."""
        for folder, of in ((self.path, "part-*.parquet"), (self.path / RECORDS, "*.json")):
            for path in folder.glob(of):
                mine = owner(_part_name(path.name), inputs)
                if mine is not None and mine.number in numbers:
                    path.unlink()

    def clear(self, inputs: Sequence[Input]) -> None:
        """Delete what the plan in this folder has made, the plan last."""
        self.unfinish()
        self.forget(inputs, range(len(inputs)))
        (self.path / MANIFEST).unlink(missing_ok=True)

    def _check_empty(self) -> None:
        if not self.path.exists():
            return
        left = [entry.name for entry in sorted(self.path.iterdir()) if entry.name not in (LOCK, SCRATCH, RECORDS)]
        left += [entry.name for entry in (self.path / RECORDS).glob("*")]
        if left:
            raise JobRefused(
                f"{self.path} is not empty and no job of odkit: it holds {listed(left)}; choose another folder"
            )

    def _write_json(self, path: Path, content: dict[str, Any]) -> None:
        with whole_file(path, scratch=self.path / SCRATCH) as file:
            file.write((json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def _part_name(file_name: str) -> str:
    found = PART_NAME.search(file_name)
    return found[0] if found and file_name in (f"part-{found[0]}.parquet", f"{found[0]}.json") else ""
