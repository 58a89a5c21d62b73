"""Jobs beside merely reading and writing, and their memory: python -m benchmarks.jobs.scoring [MILLION_ROWS] [TIMES]

Writes MILLION_ROWS (4) million rows of 20 float64 columns and an id as Parquet files of half a million rows, in row
groups of 100,000, to a temporary folder, and scores them with ECOD, exact and compressed, fitted on 50,000 rows. Every
job is a process of its own: wall seconds of the job without the imports, peak memory of the process. The peers read
the same columns with pyarrow, as fast as it can, and write columns of the same types as the result, or all they read.
Then the same with TIMES (4) as many rows: the files once more under other names. CSV: a job beside pandas that reads
the same file in chunks of the same size, and does nothing with them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from benchmarks.timing import machine

FILE_ROWS, GROUP_ROWS, COLUMNS, CSV_ROWS, FIT_ROWS = 500_000, 100_000, 20, 300_000, 50_000

JOB = """
import json, sys, time
from pathlib import Path
from odkit.jobs import score_files
def field(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(key))
import numba, odkit.kernels.cpu.ecdf_jit, odkit.jobs.run
base, began = field("VmRSS"), time.perf_counter()
result = score_files(sys.argv[1], [sys.argv[2]], sys.argv[3], keys=["id"], workers=int(sys.argv[4]))
used = time.perf_counter() - began
found = {"seconds": used, "cpu": time.process_time(), "base": base, "peak": field("VmHWM"), "rows": result.rows}
print(json.dumps(found))
"""


def main(million: int, times: int) -> None:
    from odkit import ECOD, model_file

    print(machine())
    n_files = max(1, million * 1_000_000 // FILE_ROWS)
    with tempfile.TemporaryDirectory(dir=os.environ.get("ODKIT_SCRATCH")) as name:
        root = Path(name)
        names = _make(root / "in", n_files)
        rows = pd.read_parquet(root / "in" / "00.parquet", columns=names)[:FIT_ROWS]
        for label, options in {"ECOD": {}, "ECOD(compression=0.01)": {"compression": 0.01}}.items():
            model_file.save(ECOD(**options).fit(rows), root / f"{label}.odkit")
        size = sum(path.stat().st_size for path in (root / "in").iterdir())
        print(f"{million} M rows x {COLUMNS} float64 + id, {n_files} Parquet files, {size / 1e6:,.0f} MB\n")
        for round_ in range(2):
            print(f"round {round_ + 1}")
            copied = _report("pyarrow: read all, write all", _copy(root, None))
            merely = _report("pyarrow: read all, write id, score, flag", _copy(root, 2))
            for label in ("ECOD", "ECOD(compression=0.01)"):
                for workers in (2, 1):
                    run = _job(root, label, root / "in", workers)
                    _report(
                        f"job, {label}, {workers} threads",
                        run["seconds"],
                        f"{run['seconds'] / merely:.2f} x and {run['seconds'] / copied:.2f} x the two, "
                        f"{run['cpu']:.1f} CPU s, {run['rows'] / run['seconds'] / 1e6:.2f} M rows/s, "
                        f"memory {run['peak']:.0f} MB of which {run['base']:.0f} imports",
                    )
        (root / "many").mkdir()
        for i in range(times * n_files):
            os.link(root / "in" / f"{i % n_files:02d}.parquet", root / "many" / f"{i:03d}.parquet")
        run = _job(root, "ECOD", root / "many", 2)
        _report(
            f"\n{times * million} M rows, job, ECOD, 2 threads",
            run["seconds"],
            f"memory {run['peak']:.0f} MB of which {run['base']:.0f} imports",
        )
        _csv(root, rows, names)


def _make(folder: Path, n_files: int) -> list[str]:
    folder.mkdir()
    names = [f"x{j}" for j in range(COLUMNS)]
    for i in range(n_files):
        rng = np.random.default_rng(i)
        columns = {name: rng.normal(size=FILE_ROWS) for name in names}
        table = pyarrow.table({"id": np.arange(i * FILE_ROWS, (i + 1) * FILE_ROWS), **columns})
        parquet.write_table(table, folder / f"{i:02d}.parquet", row_group_size=GROUP_ROWS)
    return names


def _copy(root: Path, n_columns: int | None) -> float:
    """Seconds of pyarrow alone, with its own threads: read every file, write all columns, or the id and two others."""
    target = root / "copy"
    target.mkdir(exist_ok=True)
    began = time.perf_counter()
    for path in sorted((root / "in").iterdir()):
        table = parquet.read_table(path)
        if n_columns is not None:
            flags = np.zeros(len(table), bool)
            table = table.select(["id", "x0"]).append_column("flag", pyarrow.array(flags))
        parquet.write_table(table, target / path.name)
    used = time.perf_counter() - began
    for path in target.iterdir():
        path.unlink()
    return used


def _job(root: Path, label: str, inputs: Path, workers: int) -> dict[str, float]:
    out = root / "out"
    words = [sys.executable, "-c", JOB, root / f"{label}.odkit", inputs, out, str(workers)]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    subprocess.run(["rm", "-r", out], check=True)
    return found


def _csv(root: Path, rows: pd.DataFrame, names: list[str]) -> None:
    (root / "csv").mkdir()
    path = root / "csv" / "x.csv"
    frame = pd.read_parquet(root / "in" / "00.parquet")[:CSV_ROWS]
    frame.to_csv(path, index=False)
    print(f"\nCSV, {CSV_ROWS:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
    for _ in range(2):
        began = time.perf_counter()
        for _chunk in pd.read_csv(path, chunksize=1 << 18):
            pass
        read = _report("pandas: read in chunks", time.perf_counter() - began)
        run = _job(root, "ECOD", root / "csv", 2)
        _report("job, ECOD, 2 threads", run["seconds"], f"{run['seconds'] / read:.2f} x, memory {run['peak']:.0f} MB")


def _report(what: str, seconds: float, remarks: str = "") -> float:
    print(f"  {what:42} {seconds:6.2f} s  {remarks}", flush=True)
    return seconds


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *("4", "4")[len(sys.argv) - 1 :]]))
