"""ECOD's compressed state: scoring a Parquet file beside reading it, sizes, streaming rate, accuracy.

Run: python -m benchmarks.speed.ecod_stream [scoring] [sizes] [streaming] [accuracy]     (without a name: all)

Times are processor seconds of one thread: work per core, on a machine that may be busy.
"""

import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.timing import interleaved, machine, ratio
from odkit import ECOD, anomaly_score, model_file

DATA_HOME = Path(os.environ.get("ODKIT_DATA_HOME", Path(__file__).resolve().parents[3] / "shared" / "data"))
ROWS, FEATURES, GROUP = 1_000_000, 50, 100_000


def write_parquet(path: Path) -> None:
    schema = pa.schema([(f"x{j}", pa.float64()) for j in range(FEATURES)])
    with pq.ParquetWriter(path, schema) as writer:
        for part in range(ROWS // GROUP):
            columns = np.random.default_rng([1, part]).standard_normal((FEATURES, GROUP))
            writer.write_table(pa.table(list(columns), schema=schema))


def batches(path: Path):
    """The rows of the file, a row group at a time, as the table of numbers that a detector takes."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, use_threads=False)
        yield np.column_stack([column.to_numpy() for column in table.columns])


def scoring(n: int = 100_000) -> None:
    X = np.random.default_rng(0).standard_normal((n, FEATURES))
    models = {
        "exact": ECOD().fit(X),
        "exact, paper": ECOD(aggregation="paper").fit(X),
        "exact, float32": ECOD().fit(X.astype(np.float32)),
        "compression 0.01": ECOD(compression=0.01).fit(X),
        "compression 0.05": ECOD(compression=0.05).fit(X),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_parquet(path)
        file = pq.ParquetFile(path)

        def decode():
            for group in range(file.num_row_groups):
                file.read_row_group(group, use_threads=False)

        rows = list(batches(path))
        narrow = [batch.astype(np.float32) for batch in rows]
        runs = {
            name: (lambda m=model, b=narrow if "32" in name else rows: [m.score_samples(batch) for batch in b])
            for name, model in models.items()
        }
        runs["decode the Parquet file"] = decode
        runs["decode it into rows"] = lambda: sum(len(batch) for batch in batches(path))
        times = interleaved(runs, 3, time.process_time)
        size = path.stat().st_size
    print(f"\n{ROWS} rows x {FEATURES} features ({size / 1e6:.0f} MB of Parquet) against {n} training rows, one thread")
    for name, taken in times.items():
        against = ratio(times["decode it into rows"], taken)
        print(f"  {name:26} {ROWS / np.median(taken) / 1e3:8.0f} krows/s per core   {against:5.2f} x reading the rows")


def parts(detector: ECOD) -> dict[str, int]:
    table, stats = detector._table, detector._stats
    summaries = sum(array.nbytes for summary in stats["summaries"] for array in summary)
    moments = sum(array.nbytes for array in stats["moments"].values())
    return {
        "table": table.values.nbytes + table.costs.nbytes,
        "summaries": summaries,
        "extremes": stats["extremes"].nbytes + moments,
        "buffer": stats["buffer"].nbytes,
        "row sample": sum(array.nbytes for array in detector._sample.values()),
        "pickle": len(pickle.dumps(detector)),
        "file": model_bytes(detector),
        "compact file": model_bytes(detector.compact()),
    }


def model_bytes(detector: ECOD) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.odkit"
        model_file.save(detector, path)
        return path.stat().st_size


def sizes() -> None:
    rng = np.random.default_rng(0)
    print(f"\nMB at d = {FEATURES}; the table is what scoring reads, the rest serves partial_fit, merge and offset_")
    head = ["table", "summaries", "extremes", "buffer", "row sample", "pickle", "file", "compact file"]
    print(f"  {'':34}{'entries':>8}{'error':>9}  " + "  ".join(head))
    for eps in (0.01, 0.05):
        for n in (100_000, 1_000_000):
            for kind, draw in (("normal", rng.standard_normal), ("Poisson(30)", lambda s: rng.poisson(30, s) * 1.0)):
                one = ECOD(compression=eps, random_state=0).fit(draw((n, FEATURES)))
                _print_sizes(f"{kind}, one fit of {n}", eps, one)
            streamed = ECOD(compression=eps, random_state=0)
            for _ in range(n // 20_000):
                streamed.partial_fit(rng.lognormal(size=(20_000, FEATURES)))
            _print_sizes(f"lognormal, {n} in blocks", eps, streamed)
    few = 5  # features are independent of each other, so fifty take ten times the arrays of five
    endless = ECOD(compression=0.01, random_state=0)
    for _ in range(16_000_000 // 16_384):
        endless.partial_fit(rng.lognormal(size=(16_384, few)))
    size = model_bytes(endless.compact()) * FEATURES / few
    print(f"  lognormal, 16 million in blocks of 16384, {few} features: compact file {size / 1e6:.2f} for {FEATURES}")
    exact = ECOD().fit(rng.standard_normal((100_000, FEATURES)))
    keys, whole = exact._table.values.nbytes, model_bytes(exact)
    print(f"  exact, 100000 rows: keys {keys / 1e6:.1f}, file {whole / 1e6:.1f}")


def _print_sizes(name: str, eps: float, detector: ECOD) -> None:
    entries = detector._table.values.size / FEATURES
    figures = "  ".join(f"{size / 1e6:>{len(part)}.2f}" for part, size in parts(detector).items())
    print(f"  {name:28} {eps:<4} {entries:8.0f}{detector.tail_error_:9.5f}  {figures}")


def streaming(blocks: int = 12) -> None:
    print(f"\npartial_fit, d = {FEATURES}, lognormal; krows/s per core over {blocks} blocks after two")
    for size in (2_048, 16_384, 131_072):
        X = np.random.default_rng(0).lognormal(size=(size, FEATURES))
        for eps in (None, 0.01, 0.05):
            detector = ECOD(compression=eps, random_state=0).partial_fit(X).partial_fit(X + 1e-3)
            taken = []
            for i in range(blocks if eps else 4):
                block = X * (1 + 1e-6 * i)
                start = time.process_time()
                detector.partial_fit(block)
                taken.append(time.process_time() - start)
            sorting = interleaved({"sort": lambda X=X: np.sort(X.T)}, 3, time.process_time)["sort"]
            print(f"  blocks of {size:>7}  compression {eps!s:5} {size / np.mean(taken) / 1e3:8.1f}"
                  f"   sorting the columns alone {size / np.median(sorting) / 1e3:8.1f}")  # fmt: skip


def accuracy() -> None:
    files = sorted((DATA_HOME / "tabular" / "adbench").glob("*.npz"))
    print(f"\nADBench, {len(files)} sets, fit and scored on the same rows, against the exact detector")
    print("  eps   stream   max |dROC|  max |dAP|  max score error / d   max tail_error_ / eps")
    for eps in (0.01, 0.05, 0.2):
        for streamed in (False, True):
            worst = np.zeros(4)
            for path in files:
                with np.load(path) as data:
                    X, truth = data["X"].astype(float), data["y"]
                exact = anomaly_score(ECOD().fit(X), X)
                model = ECOD(compression=eps, random_state=0)
                for block in np.array_split(X, max(1, len(X) // 20_000) if streamed else 1):
                    model.partial_fit(block)
                scores = anomaly_score(model, X)
                figures = [(roc_auc_score(truth, s), average_precision_score(truth, s)) for s in (exact, scores)]
                shift = np.abs(np.subtract(*figures))
                error = np.abs(scores - exact).max() / X.shape[1]
                worst = np.maximum(worst, [*shift, error, model.tail_error_ / eps])
            print(f"  {eps:<5} {streamed!s:8} {worst[0]:9.4f}  {worst[1]:9.4f}  {worst[2]:12.4f}   {worst[3]:19.5f}")


if __name__ == "__main__":
    print(machine())
    for part in (scoring, sizes, streaming, accuracy):
        if part.__name__ in sys.argv or len(sys.argv) == 1:
            part()
