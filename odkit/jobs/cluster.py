"""The parts of a job on the workers of a Dask cluster: `Cluster` stands where else a pool of threads does."""

import copy
import os
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Self

import odkit
from odkit.jobs.manifest import JobRefused
from odkit.kernels.cpu import blas

__all__ = ["Cluster"]

PATIENCE = 10  # seconds until a scheduler counts as absent


class Cluster:
    """Workers that see the files under the same names as this process; they read, score and write whole parts.

    Parameters
    ----------
    address : of a scheduler, such as "tcp://host:8786"

    Attributes
    ----------
    threads : int
        Of all workers together.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ImportError("--dask needs Dask, which is missing: pip install 'odkit[dask]'") from None
        try:
            self._client = Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise JobRefused(f"no Dask scheduler answers at {address} ({error}); start one, or correct it") from None
        self._executor = self._client.get_executor(pure=False)
        self.threads = sum(self._client.nthreads().values())
        self._parts: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the cluster; it stays up."""
        self._client.close()

    def check(self, paths: Iterable[Path]) -> None:
        """Refuse a cluster without workers, of another odkit, or that does not see these files and folders."""
        if not self.threads:
            raise JobRefused("the Dask cluster has no worker; start some")
        for worker, (version, unseen) in self._client.run(_look, [str(path) for path in paths]).items():
            if version != odkit.__version__:
                raise JobRefused(f"the Dask worker {worker} has odkit {version}, this is {odkit.__version__}; use one")
            if unseen:
                raise JobRefused(
                    f"the Dask worker {worker} does not see {unseen[0]}; the files and the output must lie where all "
                    "workers find them under the same name"
                )

    def share(self, parts: Any) -> None:
        """Send what does the parts to every worker, once."""
        self._parts = self._client.scatter(copy.copy(parts), broadcast=True, hash=False)

    def submit(self, task: partial) -> Future:
        """Run a method of what was shared, as `partial(parts.method, ...)`, on some worker."""
        return self._executor.submit(_run, self._parts, task.func.__name__, task.args, task.keywords)


def _look(names: list[str]) -> tuple[str, list[str]]:
    return odkit.__version__, [name for name in names if not os.path.exists(name)]


def _run(parts: Any, method: str, args: tuple, options: dict[str, Any]) -> Any:
    with blas.one_thread():
        return getattr(parts, method)(*args, **options)
