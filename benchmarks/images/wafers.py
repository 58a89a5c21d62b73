"""Unknown defect patterns on synthetic wafers: a sparse network at full resolution against a dense one on 64 x 64 bins.

    python -m benchmarks.images.wafers [--size 1000] [--train 100] [--test 60] [--epochs 8] [--seeds 0 1]
        [--pools 4 4 4 2 2] [--keep FILE]

Two of the nine patterns are left out in turn; both networks are trained on the others with the same widths, steps,
moves and seeds, and the same scores are read off their latents. Every training runs in a process of its own on one
thread; seconds are CPU seconds, memory is the peak of the process. Means over the seeds are printed for every pair, in
brackets the deviation of LatentGMM. `--pools` are the sides of the cells of the sparse network. `--keep` writes
every result to a file of JSON lines and does not run again what is in it.
"""

import argparse
import json
import multiprocessing
import resource
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks.timing import machine

LEFT_OUT = (("center", "donut"), ("edge_loc", "edge_ring"), ("loc", "scratch"), ("near_full", "random"))
BINS = 64
CHANNELS = (16, 32, 64, 64, 64)


def binned(maps: list, size: int) -> np.ndarray:
    """log(1 + number of defects) in 64 x 64 bins."""
    out = np.zeros((len(maps), BINS, BINS), np.float32)
    for image, wafer in zip(out, maps, strict=True):
        np.add.at(image, tuple((wafer * BINS // size).T), 1)
    return np.log1p(out)[:, None]


class Dense:
    """The same widths on binned maps: convolution, BatchNorm, ReLU, max-pool; trained as SparseWaferEncoder is."""

    def __init__(self, size: int, epochs: int, seed: int) -> None:
        self.size, self.epochs, self.seed = size, epochs, seed

    def fit(self, maps, y):
        import torch
        from torch import nn

        self.classes_, numbers = np.unique(y, return_inverse=True)
        torch.manual_seed(self.seed)
        layers: list = []
        widths = [1, *CHANNELS, 64]
        for i, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i < 4 else []
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(64, len(self.classes_))
        X, classes = torch.from_numpy(binned(maps, self.size)), torch.from_numpy(numbers)
        parameters = [*self.body.parameters(), *self.head.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=3e-3)
        n_steps = -(-len(X) // 32)
        halving = torch.optim.lr_scheduler.StepLR(optimizer, -(-self.epochs * n_steps // 6), 0.5)
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X), generator=generator).tensor_split(n_steps):
                moves = torch.randint(8, (len(rows),), generator=generator).tolist()
                x = torch.stack([_moved(X[row], move) for row, move in zip(rows.tolist(), moves, strict=True)])
                loss = nn.functional.cross_entropy(self.head(self.body(x)), classes[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                halving.step()
        self.body.eval()
        return self

    def transform(self, maps):
        import torch

        with torch.no_grad():
            return torch.cat([self.body(part) for part in torch.from_numpy(binned(maps, self.size)).split(64)]).numpy()

    def logits(self, maps):
        import torch

        with torch.no_grad():
            return self.head(torch.from_numpy(self.transform(maps))).numpy()


def _moved(image, move: int):
    turned = image.rot90(move // 2, (1, 2))
    return turned.flip(1) if move % 2 else turned


def name_of(job: tuple) -> list:
    """What tells results apart, as JSON has it."""
    kind, left_out, seed, options = job
    sizes = [options.size, options.train, options.test, options.epochs]
    return [kind, list(left_out), seed, *sizes, *(options.pools if kind == "sparse" else [])]


def run(job: tuple) -> dict:
    kind, left_out, seed, options = job
    import torch

    from odkit import ClassConditionalGaussian, LatentGMM
    from odkit.datasets import make_wafer_maps
    from odkit.datasets.wafer_maps import PATTERNS
    from odkit.images.wafer import SparseWaferEncoder

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    known = [name for name in PATTERNS if name not in left_out]
    size, epochs = options.size, options.epochs
    train, y = make_wafer_maps(options.train, patterns=known, size=size, random_state=1000 + seed)
    test, truth = make_wafer_maps(options.test, size=size, random_state=2000 + seed)
    start = time.process_time()
    if kind == "sparse":
        encoder = SparseWaferEncoder(
            channels=CHANNELS, pools=options.pools, size=size, epochs=epochs, random_state=seed
        ).fit(train, y)
    else:
        encoder = Dense(size, epochs, seed).fit(train, y)
    trained = time.process_time() - start
    start = time.process_time()
    latents, logits = encoder.transform(test), encoder.logits(test)
    scored = (time.process_time() - start) / 2 / len(test)
    novel = np.isin(truth, left_out)
    rows = encoder.transform(train).astype(np.float64)
    detectors = {
        "one Gaussian": ClassConditionalGaussian(),
        "tied": ClassConditionalGaussian(),
        "relative": ClassConditionalGaussian(covariance="relative"),
        "LatentGMM": LatentGMM(),
    }
    auroc = {"max softmax": roc_auc_score(novel, -softmax(logits, axis=1).max(axis=1))}
    for name, detector in detectors.items():
        detector.set_params(random_state=0, calibration_fraction=0.02)  # rankings only: nearly all rows are fitted
        detector.fit(rows, None if name == "one Gaussian" else y)
        auroc[name] = roc_auc_score(novel, -detector.score_samples(latents.astype(np.float64)))
    accuracy = (encoder.classes_[logits[~novel].argmax(axis=1)] == truth[~novel]).mean()
    return {
        "job": name_of(job),
        "accuracy": float(accuracy),
        **auroc,
        "train s": trained,
        "ms/map": 1e3 * scored,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--train", type=int, default=100, help="maps of each known pattern")
    parser.add_argument("--test", type=int, default=60, help="maps of each pattern")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--pools", type=int, nargs=len(CHANNELS), default=[4, 4, 2, 2, 2], help="of the sparse network")
    parser.add_argument("--keep", type=Path, help="file of results")
    options = parser.parse_args()
    print(machine())
    print(vars(options), "\nmaps: random_state 1000 + seed (train), 2000 + seed (test)")
    jobs = [
        (kind, left_out, seed, options)
        for seed in options.seeds
        for left_out in LEFT_OUT
        for kind in ("sparse", "dense")
    ]
    columns = ["accuracy", "max softmax", "one Gaussian", "tied", "relative", "LatentGMM", "train s", "ms/map", "MiB"]
    print(f"\n{'left out':20} seed {'network':8}" + "".join(f"{name:>13}" for name in columns))
    known = {}
    if options.keep and options.keep.exists():
        known = {str(r["job"]): r for r in map(json.loads, options.keep.read_text().splitlines())}
    results = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for job in jobs:
            result = known.get(str(name_of(job))) or pool.apply(run, [job])
            if options.keep and str(name_of(job)) not in known:
                with options.keep.open("a") as file:
                    file.write(json.dumps(result) + "\n")
            results.append(result)
            kind, left_out, seed = result["job"][:3]
            cells = [100 * result[c] if c in columns[:6] else result[c] for c in columns]
            print(f"{', '.join(left_out):20} {seed:4} {kind:8}" + "".join(f"{c:13.1f}" for c in cells), flush=True)
    print(f"\nmeans over seeds {options.seeds}")
    for left_out in (*LEFT_OUT, None):
        for kind in ("sparse", "dense"):
            rows = [r for r in results if r["job"][0] == kind and r["job"][1] == list(left_out or r["job"][1])]
            cells = [np.mean([100 * r[c] if c in columns[:6] else r[c] for r in rows]) for c in columns]
            spread = f"  ({100 * np.std([r['LatentGMM'] for r in rows]):.1f})" if left_out else ""
            print(f"{', '.join(left_out or ['all']):25} {kind:8}" + "".join(f"{c:13.1f}" for c in cells) + spread)


if __name__ == "__main__":
    main()
