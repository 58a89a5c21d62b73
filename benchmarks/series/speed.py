"""Speed and memory of the series detectors, the threshold and VUS, each beside a plain way and its own limit.

Run: python -m benchmarks.series.speed [--stumpy]     (--stumpy adds the peer of Discord; it compiles for half a minute)
"""

import sys
import time

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.timing import interleaved, machine, peak_memory, ratio, seconds
from odkit import Autoregression, DynamicThreshold, HypAD, MovingEnergy, PolynomialResidual
from odkit.kernels.cpu.matrix_profile import matrix_profile
from odkit.metrics.vus import vus


def walk(n: int, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=n))


def row(what: str, claim: str, times: dict[str, list[float]], plain: str | None, limit: str) -> None:
    line = f"{what:44} {claim:8} {seconds(times['odkit'])}"
    line += f"   {plain} {seconds(times[plain])}  {ratio(times[plain], times['odkit']):8.1f}x" if plain else ""
    print(f"{line}   limit: {limit} {seconds(times['limit'])}", flush=True)


def energy() -> None:
    x = walk(1_000_000)
    detector = MovingEnergy().fit(x)

    def direct() -> np.ndarray:
        z = (x - detector.mean_) / detector.scale_
        return np.sqrt((sliding_window_view(z * z, 100)).mean(axis=1))

    runs = {"odkit": lambda: detector.score_samples(x), "numpy windows": direct, "limit": x.copy}
    row("MovingEnergy, 1e6 steps", "< 1 s", interleaved(runs, 3), "numpy windows", "one copy of the series")
    runs = {"odkit": lambda: MovingEnergy().fit(x), "limit": x.copy}
    row("MovingEnergy fit, 1e6 steps", "", interleaved(runs, 3), None, "one copy of the series")


def autoregression() -> None:
    x = walk(1_000_000) / 1000
    runs = {
        "odkit": lambda: Autoregression().fit(x),
        "normal equations": lambda: _normal_equations(x),
        "limit": lambda: np.correlate(x[:-1], x[:50], mode="valid"),
    }
    row("Autoregression fit, 1e6 steps", "", interleaved(runs, 3), "normal equations", "50 products per step, once")


def _normal_equations(x: np.ndarray) -> np.ndarray:
    lags = np.ascontiguousarray(sliding_window_view(x, 51))
    return lags.T @ lags


def polynomial() -> None:
    x = walk(100_000)
    detector = PolynomialResidual().fit(x)

    def polyfit() -> None:
        u = np.arange(1000) / 500 - 1
        outside = np.r_[0:450, 550:1000]
        for start in range(0, len(x) - 1000, 100):
            part = x[start : start + 1000]
            np.polyval(np.polyfit(u[outside], part[outside], 4), u[450:550])

    runs = {
        "odkit": lambda: detector.score_samples(x),
        "numpy.polyfit": polyfit,
        "limit": lambda: np.ascontiguousarray(sliding_window_view(x, 1000)[::100]),
    }
    row("PolynomialResidual, 1e5 steps", "< 1 s", interleaved(runs, 3), "numpy.polyfit", "one copy of all surroundings")


def find() -> None:
    e = np.abs(walk(20_000)) ** 2
    runs = {
        "odkit": lambda: DynamicThreshold().find(e),
        "grid of 0.1 sd": lambda: DynamicThreshold(mode="grid", z_grid=np.arange(2.5, 12, 0.1)).find(e),
        "limit": lambda: [np.argsort(e[i * 660 : i * 660 + 6600]) for i in range(22)],
    }
    row(
        "DynamicThreshold.find, 2e4 steps", "< 0.1 s", interleaved(runs, 5), "grid of 0.1 sd", "one sort of each window"
    )


def volumes() -> None:
    rng = np.random.default_rng(0)
    truth, score = np.zeros(100_000, bool), rng.random(100_000)
    for start in rng.integers(0, 99_000, 30):
        truth[start : start + rng.integers(1, 400)] = True

    runs = {
        "odkit": lambda: vus(truth, score),
        "all steps": lambda: _vus_over_all_steps(truth, score, 4),
        "limit": lambda: np.argsort(score),
    }
    times = interleaved(runs, 3)
    times["all steps"] = [t * 101 / 4 for t in times["all steps"]]  # 4 of the 101 border lengths were run
    row("VUS, 1e5 steps, L 100, 250 thresholds", "< 1 s", times, "all steps", "one sort of the scores")


def _vus_over_all_steps(truth: np.ndarray, score: np.ndarray, lengths: int) -> float:
    """The usual way: soft labels of all steps against every threshold, one border length after another."""
    cuts = -np.sort(-score)[np.linspace(0, len(score) - 1, 250).astype(int)]
    total = 0.0
    for _ in range(lengths):
        soft = truth.astype(float)
        for cut in cuts:
            total += soft @ (score >= cut)
    return total


def discord() -> None:
    x = np.sin(np.arange(16_000) / 20) + np.random.default_rng(0).normal(size=16_000) / 10
    runs = {"odkit": lambda: matrix_profile(x, 100), "limit": lambda: _multiply_adds(x)}
    runs |= {"odkit, 2 threads": lambda: matrix_profile(x, 100, n_jobs=2)}
    if "--stumpy" in sys.argv:
        import stumpy

        start = time.perf_counter()
        theirs = stumpy.stump(x, 100)[:, 0].astype(float)
        print(f"stumpy's first call {time.perf_counter() - start:.1f} s", end="; ")
        print(f"largest difference to ours {np.abs(theirs - matrix_profile(x, 100)).max():.1e}")
        runs["stumpy"] = lambda: stumpy.stump(x, 100)
    times = interleaved(runs, 3)
    plain = "stumpy" if "stumpy" in runs else "odkit, 2 threads"
    row("matrix profile, 16,000 steps, one thread", "< 10 s", times, plain, "2 multiply-adds a pair, BLAS")


def _multiply_adds(x: np.ndarray) -> None:
    a = x[:15_901].reshape(-1, 1) * np.ones((1, 2))
    for begin in range(0, 15_901, 250):
        a[begin : begin + 250] @ a[begin:].T


def streams() -> None:
    x = walk(20_000)
    for detector in (MovingEnergy(), MovingEnergy(window=10_000), Autoregression()):
        stream = detector.fit(x).stream()
        start = time.perf_counter()
        for value in x:
            stream.update(value)
        print(f"{detector!r:44} {(time.perf_counter() - start) / len(x) * 1e6:8.1f} microseconds per step")


def hypad() -> None:
    """2,000 windows, 40 epochs of 16 batches: 640 steps of the generator, 3,200 of the critic."""
    x = np.sin(np.arange(2099) / 7) + np.random.default_rng(0).normal(size=2099) / 10
    for backbone in ("conv", "mlp", "lstm"):
        start = time.perf_counter()
        detector = HypAD(backbone=backbone, epochs=40, max_train_windows=2000, n_critic=5, random_state=0).fit(x)
        trained = time.perf_counter() - start
        start = time.perf_counter()
        detector.score_samples(x)
        scored = time.perf_counter() - start
        line = f"HypAD {backbone:4}, 2,000 windows, 40 epochs {'< 60 s':>12} {trained:6.1f} s, "
        print(f"{line}{trained / 3840 * 1e3:.1f} ms a step; score {scored * 1e3:.0f} ms", flush=True)


def long_hypad() -> None:
    """1e6 steps with the defaults: what it costs beside training is one pass over a million windows, twice."""
    x = million()
    start = time.perf_counter()
    detector = HypAD(random_state=0).fit(x)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    detector.score_samples(x)
    print(f"HypAD conv, 1e6 steps {'':22} fit {fitted:6.1f} s, score {time.perf_counter() - start:.1f} s", flush=True)
    peak = peak_memory(million, use_hypad)
    print(f"peak memory of fit and score, 1e6 steps, {'HypAD':16} {peak:6.1f} x the series (8 MB)")


def fit_and_score(detector):
    def use(x):
        return detector.fit(x).score_samples(x)

    return use


def use_energy(x):
    return fit_and_score(MovingEnergy())(x)


def use_autoregression(x):
    return fit_and_score(Autoregression())(x)


def use_polynomial(x):
    return fit_and_score(PolynomialResidual())(x)


def use_hypad(x):
    return fit_and_score(HypAD(random_state=0))(x)


def million(small: int | None = None) -> np.ndarray:
    return walk(1000 if small else 1_000_000)


def memory() -> None:
    for name, use in (("MovingEnergy", use_energy), ("Autoregression", use_autoregression), ("POLY", use_polynomial)):
        print(
            f"peak memory of fit and score, 1e6 steps, {name:16} {peak_memory(million, use):6.1f} x the series (8 MB)"
        )


if __name__ == "__main__":
    print(machine())
    energy()
    autoregression()
    polynomial()
    find()
    volumes()
    discord()
    streams()
    memory()
    hypad()
    long_hypad()
