"""The container of a model file: a zip of `meta.json` and `.npy` members that is read with suspicion.

Written bytes are a function of the content: members are stored, never deflated, in a fixed order, with a fixed date and
our own `.npy` header, so that the sha256 of the file identifies the model. For the same reason reading needs no parser
of array headers: the header must equal, byte for byte, the one that follows from the entry in `meta.json`, and the size
that it claims must be the size that is there before any memory is asked for.
"""

import hashlib
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from odkit.atomic import whole_file

__all__ = ["Archive", "ModelFileError", "is_plain", "layout", "write"]

META = "meta.json"
MAX_MEMBERS = 10_000
MAX_META = 16 << 20
MAX_NAME = 200  # bytes of a member's name
CHUNK = 1 << 20
PLAIN = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<U[1-9][0-9]{0,5}")
DAMAGE = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, struct.error)  # what zipfile raises on damaged bytes
NAME = re.compile(r"[A-Za-z0-9_./-]+")


class ModelFileError(ValueError):
    """A model file that cannot be written or must not be loaded; the message names the place and the reason."""


def is_plain(dtype: np.dtype) -> bool:
    """Whether a member can hold this dtype: booleans, integers, floats and text of fixed width."""
    return PLAIN.fullmatch(dtype.newbyteorder("<").str) is not None


def write(path: str | os.PathLike, meta: dict[str, Any], arrays: dict[str, NDArray]) -> None:
    """Write meta and arrays (member name -> array of a plain dtype) to path, whole or not at all."""
    entries, bodies = {}, {}
    for name, array in sorted(arrays.items()):
        array = np.asarray(array, dtype=array.dtype.newbyteorder("<"))
        order, body = layout(array)
        entries[name] = {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "order": order,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        bodies[name] = (_npy_header(entries[name]), body)
    text = json.dumps({**meta, "arrays": entries}, sort_keys=True, allow_nan=False, indent=1).encode("ascii")
    if len(bodies) >= MAX_MEMBERS or len(text) > MAX_META:
        raise ModelFileError(
            f"{Path(path).name}: {len(bodies)} arrays and {len(text)} bytes of description are more than a model file "
            f"may have ({MAX_MEMBERS - 1} and {MAX_META}); use joblib or skops for this model"
        )
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as zipped:
        for name, parts in [(META, (text,)), *bodies.items()]:
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # the same bytes from every system
            member.external_attr = 0o644 << 16
            member.file_size = sum(len(part) for part in parts)  # lets zipfile choose 64-bit fields by itself
            with zipped.open(member, "w") as out:
                for part in parts:
                    out.write(part)


def layout(array: NDArray) -> tuple[str, memoryview]:
    """The order, "C" or "F", in which an array is stored, and its bytes in that order."""
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return order, _bytes(np.ascontiguousarray(array) if order == "C" else array)


def _bytes(array: NDArray) -> memoryview:
    """The memory of a contiguous array, in the order in which it lies there."""
    return (array if array.flags.c_contiguous else array.T).reshape(-1).view(np.uint8).data


def _npy_header(entry: dict[str, Any]) -> bytes:
    """Header of format version 1.0, padded so that the data start at a multiple of 64."""
    shape = "".join(f"{size}, " for size in entry["shape"])
    shape = f"({shape[:-1] if len(entry['shape']) == 1 else shape[:-2]})"
    fields = f"{{'descr': '{entry['dtype']}', 'fortran_order': {entry['order'] == 'F'}, 'shape': {shape}, }}"
    length = -(-(10 + len(fields) + 1) // 64) * 64 - 10
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + fields.ljust(length - 1).encode("ascii") + b"\n"


class Archive:
    """An opened model file whose container and `meta` have passed their checks; arrays are checked as they are read.

    A member is read once, however often it is asked for, so that a file cannot make its reader use more memory than it
    has bytes.
    """

    def __init__(self, path: str | os.PathLike, max_bytes: int) -> None:
        self.name = Path(path).name
        if not os.path.exists(path):
            raise FileNotFoundError(f"there is no model file {os.fspath(path)}")
        self._file = open(path, "rb")  # noqa: SIM115  closed by __exit__
        try:
            self._check_ends(max_bytes)
            try:
                self._zip = zipfile.ZipFile(self._file)
            except (*DAMAGE, ValueError) as error:
                raise self.error(f"damaged or cut short ({error})") from None
            self._members = self._check_members(self._zip.infolist())
            self.meta = self._read_meta()
            self._entries = self._check_entries(self.meta.get("arrays"))
            self._arrays: dict[str, NDArray] = {}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def error(self, reason: str) -> ModelFileError:
        return ModelFileError(f"{self.name}: {reason}; the file is not loaded")

    def array(self, name: Any) -> NDArray:
        """The array of a member, read-only."""
        if not isinstance(name, str) or name not in self._entries:
            raise self.error(f"array {name!r} is not there")
        if name not in self._arrays:
            self._arrays[name] = self._read_array(name, self._entries[name])
        return self._arrays[name]

    def _read_array(self, name: str, entry: dict[str, Any]) -> NDArray:
        shape, dtype = tuple(entry["shape"]), np.dtype(entry["dtype"])
        try:
            array = np.empty(shape, dtype, order=entry["order"])
        except (ValueError, OverflowError) as error:
            raise self.error(f"{name}: no array has shape {shape} ({error})") from None
        body = _bytes(array)
        digest, header, done = hashlib.sha256(), _npy_header(entry), 0
        try:
            with cast(BufferedIOBase, self._zip.open(self._members[name])) as member:
                if member.read(len(header)) != header:
                    raise self.error(f"{name}: its header is not that of a {dtype} array of shape {shape}")
                while done < len(body):
                    got = member.readinto(body[done : done + CHUNK])
                    if not got:
                        raise self.error(f"{name}: the data end early")
                    digest.update(body[done : done + got])
                    done += got
                member.read(1)  # reaching the end makes zipfile compare its checksum
        except DAMAGE as error:
            raise self.error(f"{name}: damaged ({error})") from None
        if digest.hexdigest() != entry["sha256"]:
            raise self.error(f"{name}: its sha256 is not the recorded one")
        array.flags.writeable = False
        return array

    def _check_ends(self, max_bytes: int) -> None:
        """Size, kind and the claimed size of the directory, before zipfile builds a list of its entries."""
        size = os.fstat(self._file.fileno()).st_size
        if size > max_bytes:
            raise self.error(f"{size} bytes, more than max_bytes={max_bytes}; give a larger max_bytes if you trust it")
        start = self._file.read(4)
        if start != b"PK\x03\x04":
            kind = "a pickle, which can run code when loaded" if start[:1] == b"\x80" else "no model file of odkit"
            raise self.error(f"{kind}{' (it is empty)' * (size == 0)}")
        self._file.seek(max(size - 98, 0))
        tail = self._file.read().rjust(98, b"\0")
        record, locator, end = tail[:56], tail[56:76], tail[76:]
        if end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
            raise self.error("damaged or cut short (no zip directory at its end)")
        count, directory = struct.unpack("<HI", end[10:16])
        if locator[:4] == b"PK\x06\x07":
            if record[:4] != b"PK\x06\x06" or struct.unpack("<Q", locator[8:16])[0] != size - 98:
                raise self.error("its zip directory is not where it should be")
            count, directory = struct.unpack("<QQ", record[32:48])
        if count > MAX_MEMBERS or directory > MAX_MEMBERS * (MAX_NAME + 128):
            raise self.error(f"{count} members in {directory} bytes of directory, more than {MAX_MEMBERS}")

    def _check_members(self, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        names = {}
        for member in members:
            name = member.filename
            steps = name.split("/")
            if not NAME.fullmatch(name) or len(name) > MAX_NAME or any(step in ("", ".", "..") for step in steps):
                raise self.error(f"member {name[:MAX_NAME]!r} has a name that odkit does not write")
            if name in names:
                raise self.error(f"member {name!r} is there twice")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise self.error(f"member {name!r} is compressed; odkit stores members as they are")
            if member.flag_bits & 1:
                raise self.error(f"member {name!r} is encrypted")
            names[name] = member
        if sum(member.file_size for member in members) > os.fstat(self._file.fileno()).st_size:
            raise self.error("its members claim more bytes than the file has")
        if META not in names:
            raise self.error(f"no {META} in it, so it is no model file")
        return names

    def _read_meta(self) -> dict[str, Any]:
        if self._members[META].file_size > MAX_META:
            raise self.error(f"{META} has {self._members[META].file_size} bytes, more than {MAX_META}")
        try:
            meta = json.loads(self._zip.read(META), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{META}: not valid JSON ({error})") from None
        except DAMAGE as error:
            raise self.error(f"{META}: damaged ({error})") from None
        if not isinstance(meta, dict):
            raise self.error(f"{META}: not an object")
        return meta

    def _check_entries(self, entries: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(entries, dict) or set(entries) != set(self._members) - {META}:
            raise self.error(f"the arrays listed in {META} are not the members of the file")
        for name, entry in entries.items():
            if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "order", "sha256"}:
                raise self.error(f"{name}: its entry in {META} needs dtype, shape, order and sha256")
            dtype, shape = entry["dtype"], entry["shape"]
            if not isinstance(dtype, str) or not PLAIN.fullmatch(dtype):
                raise self.error(f"{name}: dtype {dtype!r}; booleans, integers, floats and fixed-width text are read")
            if not isinstance(shape, list) or len(shape) > 32 or not all(_is_size(size) for size in shape):
                raise self.error(f"{name}: {shape!r} is no shape")
            if entry["order"] not in ("C", "F"):
                raise self.error(f"{name}: order {entry['order']!r}")
            needed = len(_npy_header(entry)) + math.prod(shape) * np.dtype(dtype).itemsize
            if needed != self._members[name].file_size:
                raise self.error(
                    f"{name}: shape {tuple(shape)} of {dtype} needs {needed} bytes and {self._members[name].file_size} "
                    "are there"
                )
        return entries


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _refuse_constant(name: str) -> Iterable[None]:
    raise ValueError(f"the constant {name}")
