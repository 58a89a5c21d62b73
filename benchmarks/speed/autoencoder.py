"""AutoEncoder against PyOD's at equal epochs, members as one network against one member, and scoring.

Run: python -m benchmarks.speed.autoencoder [--epochs 4] [--repeats 3] [--device cpu]

CPU seconds on one thread (torch.set_num_threads(1), OMP_NUM_THREADS=1), contestants in turn; with `--device cuda` both
sides train there, and the seconds are those of the wall. Accuracy is the ROC AUC
on 400 planted rows that break the relations between the columns while every single column looks normal.
"""

import argparse
import contextlib
import io
import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import AutoEncoder, anomaly_score

N, D = 20_000, 30


class Place(NamedTuple):
    """Where networks are trained, and the clock that tells how long it takes there."""

    device: str

    @property
    def clock(self):
        return time.process_time if self.device == "cpu" else time.perf_counter


def table() -> tuple[np.ndarray, np.ndarray]:
    """Rows on a curved five-dimensional surface with noise, and 400 that mix the columns of two such rows."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(N, 5))
    X = np.tanh(latent @ rng.normal(size=(5, D))) + 0.1 * rng.normal(size=(N, D))
    is_outlier = np.zeros(N, dtype=bool)
    is_outlier[rng.choice(N, 400, replace=False)] = True
    others = X[rng.choice(np.flatnonzero(~is_outlier), 400)]
    X[is_outlier] = np.where(rng.random((400, D)) < 0.5, X[is_outlier], others)
    return X, is_outlier


def ours(X, epochs: int, batch_size: int, **kwargs):
    steps = epochs * -(-len(X) // batch_size)
    return AutoEncoder(batch_size=batch_size, max_steps=steps, random_state=0, **kwargs).fit(X)


def pyod(X, epochs: int, batch_size: int, device: str, **kwargs):
    from pyod.models.auto_encoder import AutoEncoder as PyodAutoEncoder

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return PyodAutoEncoder(
            epoch_num=epochs, batch_size=batch_size, device=torch.device(device), verbose=0, **kwargs
        ).fit(X)


def against_pyod(epochs: int, repeats: int, place: Place) -> None:
    X, is_outlier = table()
    device = place.device
    default = AutoEncoder().batch_size
    contestants = {
        f"odkit mse, 1 member, batch {default}": lambda: ours(
            X, epochs, default, device=device, error="mse", n_members=1
        ),
        f"odkit apre, 1 member, batch {default}": lambda: ours(X, epochs, default, device=device, n_members=1),
        f"odkit apre, 5 members, batch {default}": lambda: ours(X, epochs, default, device=device),
        "odkit mse, 1 member, batch 32": lambda: ours(X, epochs, 32, device=device, error="mse", n_members=1),
        "odkit apre, 5 members, batch 32": lambda: ours(X, epochs, 32, device=device),
        "pyod, its defaults, batch 32": lambda: pyod(X, epochs, 32, device),
        "pyod, our layers, batch 32": lambda: pyod(
            X, epochs, 32, device, hidden_neuron_list=[15, 8], batch_norm=False, dropout_rate=0
        ),
        f"pyod, its defaults, batch {default}": lambda: pyod(X, epochs, default, device),
    }
    fitted = {}

    def keep(name, make):
        return lambda: fitted.__setitem__(name, make())

    times = interleaved({name: keep(name, make) for name, make in contestants.items()}, repeats, place.clock)
    heading = f"fit {N} x {D}, {epochs} epochs on {device}, {'CPU' if device == 'cpu' else 'wall'} time"
    print(f"\n{heading:58} pyod(32) / it   pyod({default}) / it   ROC AUC")
    for name in contestants:
        model = fitted[name]
        scores = model.decision_scores_ if name.startswith("pyod") else anomaly_score(model, X)
        slow = [ratio(times[f"pyod, its defaults, batch {batch}"], times[name]) for batch in (32, default)]
        roc = roc_auc_score(is_outlier, scores)
        print(f"{name:45} {seconds(times[name])} {slow[0]:12.1f}x {slow[1]:15.1f}x {roc:12.3f}")


def members(repeats: int, place: Place) -> None:
    X, _ = table()
    print(f"\n{'members as one network, per step':45} 1 member    5 members   5 / 1   five trainings / 5 members")
    for error in ("mse", "apre"):
        for batch in (32, 64, 128, 256, 1024):
            steps = 1500

            def fit(n_members, error=error, batch=batch, steps=steps):
                return AutoEncoder(
                    error=error, n_members=n_members, batch_size=batch, max_steps=steps, check_every=steps,
                    device=place.device, random_state=0,
                ).fit(X[:2048])  # fmt: skip

            times = interleaved({"1": lambda: fit(1), "5": lambda: fit(5)}, 2 * repeats + 1, place.clock)
            one, five = (1e3 * np.median(times[name]) / steps for name in ("1", "5"))
            mark = "  <- default" if batch == AutoEncoder().batch_size else ""
            print(
                f"  {error:5} batch {batch:<30} {one:7.3f} ms {five:9.3f} ms {ratio(times['5'], times['1']):8.2f}"
                f" {5 * ratio(times['1'], times['5']):14.2f}x{mark}"
            )


def limits(repeats: int, place: Place) -> None:
    """What the matrix products of one step cost alone: three for every layer, forward and back."""
    batch, generator = AutoEncoder().batch_size, torch.Generator().manual_seed(0)
    shapes = [(30, 15), (15, 8), (8, 15), (15, 30), (15, 30)]
    for n_members in (1, 5):
        operands = [
            (torch.randn(n_members, batch, a, generator=generator), torch.randn(n_members, a, b, generator=generator),
             torch.randn(n_members, batch, b, generator=generator))
            for a, b in shapes
        ]  # fmt: skip
        operands = [tuple(part.to(place.device) for part in parts) for parts in operands]

        def products(operands=operands):
            for _ in range(100):
                for h, weight, delta in operands:
                    torch.bmm(h, weight)
                    torch.bmm(h.mT, delta)
                    last = torch.bmm(delta, weight.mT)
            last.cpu()  # a device works on after the call: this waits for it

        times = interleaved({"products": products}, repeats, place.clock)["products"]
        print(f"limit: the 15 products of a step, batch {batch}, {n_members} member(s): {10 * np.median(times):.3f} ms")


def scoring(repeats: int, place: Place) -> None:
    X, _ = table()
    model = ours(X, 1, 256, device=place.device)
    pair = {"20,000 rows": lambda: model.score_samples(X), "1 row": lambda: model.score_samples(X[:1])}
    times = interleaved(pair, 2 * repeats + 1, place.clock)
    print("\nscore, 5 members, apre: " + ", ".join(f"{name} {seconds(times[name]).strip()}" for name in pair))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    options = parser.parse_args()
    place = Place(options.device)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(machine())
    members(options.repeats, place)
    limits(options.repeats, place)
    scoring(options.repeats, place)
    against_pyod(options.epochs, options.repeats, place)


if __name__ == "__main__":
    main()
