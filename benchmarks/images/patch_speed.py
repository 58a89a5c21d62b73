"""PatchGaussian against anomalib's shape of work, written down here naively in torch from its published steps.

    python -m benchmarks.images.patch_speed [--grid 56] [--channels 100] [--images 120]

Same maps, one thread. Naive fit: a covariance per position in a loop, one batched inverse. Naive maps: batched
products with the inverses, bilinear upsampling, a two-dimensional 33 x 33 blur. CPU seconds, because the machine may be
loaded; contestants in turn, medians.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.timing import machine
from odkit.images.patch_gaussian import PatchGaussian
from odkit.kernels.cpu import patches


def naive_fit(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    n, d, h, w = maps.shape
    vectors = maps.reshape(n, d, h * w)
    mean = vectors.mean(dim=0)
    covariance = torch.zeros(d, d, h * w)
    for position in range(h * w):
        z = vectors[:, :, position] - mean[:, position]
        covariance[:, :, position] = z.T @ z / (n - 1) + 0.01 * torch.eye(d)
    return mean, torch.linalg.inv(covariance.permute(2, 0, 1))


def naive_distance(maps: torch.Tensor, mean: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    n, d, h, w = maps.shape
    delta = (maps.reshape(n, d, h * w) - mean).permute(2, 0, 1)
    squares = (torch.matmul(delta, inverse) * delta).sum(dim=2).permute(1, 0)
    return squares.reshape(n, 1, h, w).clamp(min=0).sqrt()


def naive_map(distance: torch.Tensor, size: int) -> torch.Tensor:
    wide = F.interpolate(distance, size=(size, size), mode="bilinear", align_corners=False)
    x = torch.arange(-16, 17, dtype=torch.float32)
    line = torch.exp(-0.5 * (x / 4) ** 2)
    kernel = torch.outer(line, line) / line.sum() ** 2
    return F.conv2d(F.pad(wide, (16, 16, 16, 16), mode="reflect"), kernel[None, None])


def cpu_seconds(contestants: dict, repeats: int = 7) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(repeats + 1):
        for name, run in contestants.items():
            start = time.process_time()
            run()
            if round_:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=56)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--images", type=int, default=120)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    grid, d, size = options.grid, options.channels, 4 * options.grid
    print(f"grid {grid} x {grid}, {d} channels, fit {options.images} images, maps of {size} x {size}, float32\n")
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(options.images, d, grid, grid)).astype(np.float32)
    tensor = torch.from_numpy(maps)
    detector = PatchGaussian(output_size=(size, size), n_channels=None, n_jobs=1).fit([maps])
    mean, inverse = naive_fit(tensor)

    flat = maps.reshape(len(maps), d, -1)
    fits = {
        "with leave-one-out distances": lambda: patches.absorb(flat, 0.01),
        "the same work, without": lambda: patches.absorb(flat, 0.01, left_out=False),
        "naive": lambda: naive_fit(tensor),
    }
    times = cpu_seconds(fits, repeats=2)
    for name in list(fits)[:2]:
        print(f"fit, {name:34} ours {times[name]:8.2f} s   naive {times['naive']:8.2f} s   "
              f"{times['naive'] / times[name]:5.1f}x")  # fmt: skip
    for batch in (1, 32):
        part, few = tensor[:batch], maps[:batch]
        distance = naive_distance(part, mean, inverse)
        squares = patches.packed_triangular_distance(flat[:batch], detector.location_, detector.packed_)
        np.testing.assert_allclose(np.sqrt(squares), distance.reshape(batch, -1).numpy(), rtol=1e-3)
        narrow = np.sqrt(squares).astype(np.float32).reshape(-1, grid, grid)
        steps = {
            "distances": (
                lambda b=batch: patches.packed_triangular_distance(flat[:b], detector.location_, detector.packed_),
                lambda p=part: naive_distance(p, mean, inverse),
            ),
            "upsampling, blur": (
                lambda m=narrow: patches.smooth(m, (size, size), 4.0),
                lambda m=distance: naive_map(m, size),
            ),
            "whole map": (
                lambda f=few: detector.anomaly_map([f]),
                lambda p=part: naive_map(naive_distance(p, mean, inverse), size),
            ),
        }
        for name, (ours, naive) in steps.items():
            times = cpu_seconds({"ours": ours, "naive": naive})
            print(
                f"batch {batch:3} {name:34} ours {1e3 * times['ours'] / batch:8.2f} ms  naive "
                f"{1e3 * times['naive'] / batch:8.2f} ms  {times['naive'] / times['ours']:5.1f}x an image"
            )
    triangle, full = detector.packed_.nbytes / 2**20, inverse.numel() * 4 / 2**20
    one = tensor[:1]
    warm = cpu_seconds({"largest": detector.packed_.max}, repeats=9)["largest"]
    cold = cpu_seconds({"largest": detector.packed_.max, "naive": lambda: naive_distance(one, mean, inverse)})[
        "largest"
    ]
    print(
        f"model: ours {triangle:.0f} MiB, naive {full:.0f} MiB. Limit of one image's distances: reading the model (its "
        f"largest number), {1e3 * cold:.1f} ms when others used the memory before, as above, {1e3 * warm:.1f} ms again "
        "at once."
    )


if __name__ == "__main__":
    main()
