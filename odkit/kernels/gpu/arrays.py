"""The way of arrays to a torch device and back.

Fitted state stays numpy in the detectors. Read-only arrays are taken for fitted state: their device copy is kept as
long as the numpy array lives, so that scoring many batches moves the model once. Writable arrays are copied each time.
"""

import weakref

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["check_device", "to_device", "to_numpy"]

_copies: dict[tuple[int, str], torch.Tensor] = {}


def check_device(device: str) -> str:
    """The torch name of the device ("torch" means torch's own cpu device), or a RuntimeError with those present."""
    present = ["cpu (as 'torch')"]
    if torch.cuda.is_available():
        present += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        present.append("mps")
    name = "cpu" if device == "torch" else device
    kind, _, index = name.partition(":")
    missing = (kind == "cuda" and (not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count())) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if kind not in {"cpu", "cuda", "mps"} or missing:
        raise RuntimeError(f"device={device!r} is not on this machine; present: {', '.join(present)}")
    return name


def to_device(x: NDArray, device: str) -> torch.Tensor:
    """A tensor of x's dtype on the device; a copy of a read-only x is made once and dropped with x."""
    if x.flags.writeable:
        return torch.as_tensor(x, device=device)
    key = (id(x), device)
    if key not in _copies:
        _copies[key] = torch.tensor(np.ascontiguousarray(x), device=device)
        weakref.finalize(x, _copies.pop, key, None)
    return _copies[key]


def to_numpy(x: torch.Tensor) -> NDArray:
    """A numpy array on the host."""
    return x.detach().cpu().numpy()
