"""The way of arrays to a torch device and back.

Fitted state stays numpy in the detectors. What a detector names as its state is copied once and the copy kept as long
as the numpy array lives, so that scoring many batches moves the model once. Rows never are: a buffer that a user
refills between two calls may well be read-only for us.
"""

import weakref

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["check_device", "state_to_device", "to_device", "to_numpy"]

_copies: dict[tuple[int, str], torch.Tensor] = {}


def check_device(device: str) -> str:
    """The torch name of the device ("torch" means torch's own cpu device), or a RuntimeError with those present."""
    present = ["cpu", "torch (torch's cpu device, for tests)"]
    if torch.cuda.is_available():
        present += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        present.append("mps")
    kind, colon, _ = device.partition(":")
    fine = {
        "torch": not colon,
        "cuda": torch.cuda.is_available() and (not colon or device in present),
        "mps": "mps" in present and not colon,
    }
    if not fine.get(kind, False):
        raise RuntimeError(f"device={device!r} is not on this machine; present: {', '.join(present)}")
    return "cpu" if device == "torch" else device


def to_device(x: NDArray, device: str) -> torch.Tensor:
    """A tensor of x's dtype on the device; on torch's cpu device it shares the memory of a writable x."""
    if x.flags.writeable:
        return torch.as_tensor(np.ascontiguousarray(x), device=device)
    return torch.tensor(np.ascontiguousarray(x), device=device)  # torch warns before it shares what it must not write


def state_to_device(x: NDArray, device: str) -> torch.Tensor:
    """As `to_device`, for an array of a fitted model; the copy of one that nobody can write is made once."""
    if not _is_frozen(x):
        return to_device(x, device)
    key = (id(x), device)
    copy = _copies.get(key)
    if copy is None:
        copy = _copies[key] = to_device(x, device)
        weakref.finalize(x, _copies.pop, key, None)
    return copy


def to_numpy(x: torch.Tensor) -> NDArray:
    """A numpy array on the host."""
    return x.detach().cpu().numpy()


def _is_frozen(x: NDArray) -> bool:
    """Whether x and every array whose memory it shows are read-only: a read-only view is no promise."""
    base: object = x
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return True
