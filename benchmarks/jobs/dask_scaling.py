"""How much faster two Dask workers score than one: python -m benchmarks.jobs.dask_scaling [ROWS]

Parquet files are read, scored and reduced to the number of flagged rows. Both clusters are up all the while and take
turns; a worker is a process that reads and computes in one thread; medians of the rounds. The first row is the limit of
the machine: a loop that touches no memory, in as many tasks. Two cores that are two threads of one core stay below 2.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dask.dataframe
import numpy as np
import pandas as pd
import pyarrow
from distributed import Client, LocalCluster

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import ECOD, GMM, KNN, Mahalanobis
from odkit.adapters import dask as on_dask

ROUNDS, FILES, COLUMNS = 3, 8, 20


def main(n_rows: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(COLUMNS)]
    with tempfile.TemporaryDirectory() as folder:
        for i in range(FILES):
            rows = rng.normal(size=(n_rows // FILES, COLUMNS))
            pd.DataFrame(rows, columns=names).to_parquet(Path(folder) / f"part-{i}.parquet")
        train = pd.DataFrame(rng.normal(size=(50_000, COLUMNS)), columns=names)
        clusters = {
            n: LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR")
            for n in (1, 2)
        }
        clients = {n: Client(cluster, set_as_default=False) for n, cluster in clusters.items()}
        data = dask.dataframe.read_parquet(folder)
        print(machine())
        print(f"{n_rows:,} rows x {COLUMNS} from {FILES} Parquet files, median seconds of {ROUNDS} rounds")
        print(f"{'job':20}{'1 worker':>12}{'2 workers':>12}   1 / 2")
        for client in clients.values():
            client.run(pyarrow.set_cpu_count, 1)  # else one worker reads with all cores
        _show("loop (limit)", clients, lambda client: client.gather(client.map(_spin, range(FILES), pure=False)))
        for detector in (ECOD(), Mahalanobis(), GMM(4, random_state=0), KNN(algorithm="brute")):
            slow = isinstance(detector, KNN)
            rows = data.sample(frac=0.004, random_state=0) if slow else data
            lazy = on_dask.score(detector.fit(train[:20_000] if slow else train), rows)["is_outlier"].sum()
            flagged = lazy.optimize()  # reading and scoring in one task
            _show(f"score {type(detector).__name__}", clients, lambda client, f=flagged: client.compute(f).result())
        for detector in (ECOD(compression=0.01), Mahalanobis()):
            work = partial(on_dask.fit, detector, data)
            _show(f"fit {type(detector).__name__}", clients, lambda client, w=work: w(client=client))
        for client in clients.values():
            client.close()
        for cluster in clusters.values():
            cluster.close()


def _spin(number: int) -> int:
    return sum(i * number for i in range(5_000_000))


def _show(what: str, clients: dict[int, Client], work: Callable[[Client], Any]) -> None:
    times = interleaved({str(n): partial(work, client) for n, client in clients.items()}, ROUNDS)
    print(
        f"{what:20}{seconds(times['1']):>12}{seconds(times['2']):>12}   {ratio(times['1'], times['2']):.2f}", flush=True
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
