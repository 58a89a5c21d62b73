"""What this installation and this machine offer: versions, threads, devices, the folder of data sets."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import odkit

__all__ = ["describe"]

REQUIRED = ("numpy", "scipy", "scikit-learn", "numba", "pandas", "pyarrow")
OPTIONAL = ("torch", "polars", "dask", "pyod", "plotly", "onnx", "skops", "pooch")


def describe() -> dict[str, Any]:
    """Versions (None: not installed), cores, threads of the linear algebra, and what `device` may be.

    Returns
    -------
    dict
        `odkit`, `python`, `platform`, `versions`, `cores` (that this process may use), `blas` (one line per library),
        `devices` (values of the parameter `device`), `data_home`.
    """
    import numpy  # noqa: F401  # threadpoolctl lists the libraries that are loaded
    from threadpoolctl import threadpool_info

    from odkit.datasets.home import get_data_home

    home = get_data_home()
    return {
        "odkit": odkit.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in (*REQUIRED, *OPTIONAL)},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "blas": [f"{lib['internal_api']} {lib['version']}, {lib['num_threads']} threads" for lib in threadpool_info()],
        "devices": _devices(),
        "data_home": f"{home}{'' if home.is_dir() else ' (not there)'}",
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> list[str]:
    devices = ["cpu"]
    if find_spec("torch") is not None:
        import torch

        devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
        devices += ["mps"] * torch.backends.mps.is_available()
    return devices
