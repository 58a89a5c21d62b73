"""Floor 0: numbers only. `on(device)` is the only place where a backend is chosen.

>>> from odkit import kernels
>>> k = kernels.on("cpu")
>>> k.name
'cpu'
"""

from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["Backend", "on"]


class Backend:
    """A family of kernels: `backend.ecdf.tail_sum(...)` runs the cpu or the gpu twin of that name.

    `array(x)` puts a numpy array where the kernels of this backend want it, `numpy(x)` brings a result back. `state(x)`
    is for the arrays of a fitted model alone: their copy on the device is kept while they live.
    """

    def __init__(self, name: str, device: str) -> None:
        self.name = name
        self.device = device

    def __getattr__(self, module: str) -> ModuleType:
        if module.startswith("_"):
            raise AttributeError(module)
        return import_module(f"odkit.kernels.{self.name}.{module}")

    def array(self, x: Any) -> Any:
        return self.arrays.to_device(x, self.device)

    def state(self, x: Any) -> Any:
        return self.arrays.state_to_device(x, self.device)

    def numpy(self, x: Any) -> Any:
        return self.arrays.to_numpy(x)


def on(device: str | None = None) -> Backend:
    """The kernels for a device: None or "cpu" for numpy and numba, "cuda", "cuda:1", "mps" for torch.

    "torch" runs the torch twins on torch's cpu device: it is slower than "cpu" and serves to test them.

    Raises
    ------
    TypeError
        If the device is no text.
    RuntimeError
        If the device is not on this machine. Nothing falls back in silence.
    ImportError
        If torch is needed and not installed.
    """
    if device is None or device == "cpu":
        return Backend("cpu", "cpu")
    if not isinstance(device, str):
        raise TypeError(f"device={device!r} is no name of a device; give None, 'cpu', 'cuda' or 'cuda:{device}'")
    try:
        arrays = import_module("odkit.kernels.gpu.arrays")
    except ModuleNotFoundError as error:
        raise ImportError(f"device={device!r} needs torch, which is missing: pip install 'odkit[torch]'") from error
    return Backend("gpu", arrays.check_device(device))
