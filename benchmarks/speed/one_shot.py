"""What one command costs from start to end: whole processes, interleaved; wall time and processor time.

Run: python -m benchmarks.speed.one_shot [--rows 10000] [--columns 20] [--repeats 7]
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import machine

READ = "import sys, pandas; pandas.read_csv(sys.argv[1])"
SCORE = (
    "import sys; from odkit.cli import main; sys.argv = ['odkit', 'score', sys.argv[1], '--out', sys.argv[2]]; main()"
)
PYOD = """
import sys, pandas
from pyod.models.ecod import ECOD
frame = pandas.read_csv(sys.argv[1])
detector = ECOD(contamination=0.1).fit(frame.to_numpy())
scored = pandas.DataFrame({"anomaly_score": detector.decision_scores_, "is_outlier": detector.labels_})
scored.to_csv(sys.argv[2], index=False)
"""
CONTESTANTS = {
    "bare interpreter": ["-c", "pass"],
    "import odkit": ["-c", "import odkit"],
    "odkit --help": ["-m", "odkit", "--help"],
    "interpreter + pandas read": ["-c", READ],
    "the same + import scikit-learn": ["-c", f"import sklearn.base; {READ}"],
    "odkit score FILE --out OUT": ["-c", SCORE],
    "the same, numba loaded first": ["-c", f"import numba\n{SCORE}"],
    "pandas + pyod ECOD + to_csv": ["-c", PYOD],
}


def run(words: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "80"})
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(f"{machine()}; CSV of {options.rows} x {options.columns}, medians of {options.repeats} rounds")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.csv", Path(folder) / "out.csv"
        X = np.random.default_rng(0).standard_normal((options.rows, options.columns))
        pd.DataFrame(X, columns=[f"f{j}" for j in range(options.columns)]).to_csv(source, index=False)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
        for round_ in range(options.repeats + 1):
            for name, words in CONTESTANTS.items():
                taken = run([*words, str(source), str(target)] if words[0] == "-c" else words)
                if round_:  # the first fills the caches of the disk and of numba
                    times[name].append(taken)
    base = times["interpreter + pandas read"]
    for name, taken in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        ratio = statistics.median(mine[1] / theirs[1] for mine, theirs in zip(taken, base, strict=True))
        print(f"{name:32} {wall:6.2f} s wall  {cpu:6.2f} s processor  {ratio:5.1f}x the read (processor)")


if __name__ == "__main__":
    main()
