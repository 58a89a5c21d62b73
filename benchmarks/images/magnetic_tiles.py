"""Magnetic tiles through MobileNetV1: which level tells defects apart, and where they are in the image.

    python -m benchmarks.images.magnetic_tiles [--splits 0 1 2 3 4] [--map-splits 1 2 3] [--settings WORDS] [--size 224]
        [--crops 2] [--neighbours 0.01 0.04]

Split s: default_rng(s).permutation(free tiles), the first half trains, the other half and all defects test. Features of
128 x 128 tiles, Ledoit-Wolf unless named. `--splits` with nothing behind it leaves the levels out, `--map-splits` with
nothing the maps; `--settings` keeps the rows with one of the words in their names. Maps always have 128 x 128 pixels;
`--size` enlarges the tiles that the network sees; `--crops 2` cuts each tile into 2 x 2 parts, which the network sees
one by one at that size, and joins their maps.
"""

import argparse
import time
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.images.mobilenet import LEVELS, SCALE, MobileNet
from benchmarks.timing import machine
from odkit import KNN, FeaturePyramid, LevelMahalanobis, PatchGaussian, anomaly_score
from odkit.datasets import load, path
from odkit.kernels.cpu.patches import resample, smooth
from odkit.metrics.pixels import au_pro, f1_max, pixel_ap, pixel_auroc

SETTINGS = {  # levels (counted from 1), channels to keep at random or None, numbers per position
    "L3-5, 100 of 448 channels": ((3, 4, 5), 100, None),
    "L3-5, 100 mixtures": ((3, 4, 5), None, 100),
    "L3-5, 200 mixtures": ((3, 4, 5), None, 200),
    "L3-5, all 448": ((3, 4, 5), None, None),
    "L4-5, 100 of 384 channels": ((4, 5), 100, None),
    "L4-5, 100 mixtures": ((4, 5), None, 100),
    "L4-5, 200 mixtures": ((4, 5), None, 200),
    "L4-5, all 384": ((4, 5), None, None),
    "L5, all 256": ((5,), None, None),
}
SIGMAS = (4.0, 0.0)


def split(is_outlier: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    free = np.random.default_rng(seed).permutation(np.flatnonzero(~is_outlier))
    train = free[: len(free) // 2]
    return train, np.setdiff1d(np.arange(len(is_outlier)), train)


def profile(pooled: list[np.ndarray], is_outlier: np.ndarray, classes: np.ndarray, splits: list[int]) -> None:
    print(f"\nimage AUROC in %, mean over splits {splits}")
    print(f"{'':24}" + "".join(f"{f'L{i + 1}':>7}" for i in range(6)) + f"{'sum':>7}")
    models = {
        "Ledoit-Wolf": {},
        "NPCA 1 %": {"subspace": ("npca", 0.99), "keep_null": False},
        "NPCA 1 %, null space": {"subspace": ("npca", 0.99)},
        "Euclidean": {"shrinkage": 1.0},
    }
    caught, kinds = [], {}
    for name, options in models.items():
        rows = []
        for seed in splits:
            train, test = split(is_outlier, seed)
            detector = LevelMahalanobis(**options, fpr=0.05).fit([level[train] for level in pooled])
            distances = detector.distances([level[test] for level in pooled])
            scores = [*distances.T, distances.sum(axis=1)]
            rows.append([100 * roc_auc_score(is_outlier[test], score) for score in scores])
            if name == "Ledoit-Wolf":
                for rate in (0.05, 0.01):
                    detector.set_params(fpr=rate).fit([level[train] for level in pooled])
                    flagged = detector.predict([level[test] for level in pooled]) == -1
                    caught.append((rate, flagged[~is_outlier[test]].mean(), flagged[is_outlier[test]].mean()))
                for kind in np.unique(classes[is_outlier]):
                    pick = ~is_outlier[test] | (classes[test] == kind)
                    kinds.setdefault(kind, []).append(roc_auc_score(is_outlier[test][pick], scores[6][pick]))
        print(f"{name:24}" + "".join(f"{value:7.1f}" for value in np.mean(rows, axis=0)), flush=True)
    for rate in (0.05, 0.01):
        shares = 100 * np.mean([(normal, defect) for r, normal, defect in caught if r == rate], axis=0)
        what = f"{shares[0]:.1f} % of normal tiles, {shares[1]:.1f} % of defects"
        print(f"leave-one-out threshold at {100 * rate:g} % flags {what}")
    print("sum, by kind: " + ", ".join(f"{kind} {100 * np.mean(values):.1f}" for kind, values in kinds.items()))


def report(name: str, seed: int, maps: np.ndarray, truth: np.ndarray, masks: np.ndarray, seconds: float) -> list[float]:
    scores = maps.reshape(len(maps), -1).max(axis=1)
    values = [roc_auc_score(truth, scores), average_precision_score(truth, scores), pixel_auroc(masks, maps)]
    values += [pixel_ap(masks, maps), f1_max(masks, maps).value, *au_pro(masks, maps, [0.3, 0.1, 0.05, 0.01])]
    values = [100 * value for value in values]
    line(name, str(seed), [*values, seconds])
    return [*values, seconds]


def line(name: str, seed: str, values: list[float]) -> None:
    print(f"{name:34}{seed:>5}" + "".join(f"{value:9.1f}" for value in values), flush=True)


def kept(levels: list[np.ndarray], n_channels: int | None) -> list[np.ndarray]:
    """The published choice: so many channels of all levels, at random."""
    if n_channels is None:
        return levels
    drawn = np.random.RandomState(0).permutation(sum(level.shape[1] for level in levels))[:n_channels]
    bounds = np.cumsum([0, *(level.shape[1] for level in levels)])
    return [
        level[:, np.sort(drawn[(drawn >= low) & (drawn < high)] - low)]
        for level, low, high in zip(levels, bounds, bounds[1:], strict=False)
    ]


def pixel_maps(levels: dict[int, np.ndarray], data, splits: list[int], words: list[str], shares: list[float]) -> None:
    print(f"\npixel maps, splits {splits}, image score = largest pixel, CPU seconds of fit and maps")
    heads = ("image", "image AP", "pixel", "pixel AP", "F1 max", "AU-PRO", "at .1", "at .05", "at .01", "seconds")
    print(f"{'':34}split" + "".join(f"{head:>9}" for head in heads))
    results: dict[str, list] = {}
    for name, (numbers, n_kept, n_channels) in SETTINGS.items():
        if not any(word in name for word in words):
            continue
        maps = kept([levels[number] for number in numbers], n_kept)
        for seed in splits:
            train, test = split(data.is_outlier, seed)
            truth, masks = data.is_outlier[test], data.masks[test]
            parts = [[level[rows] for level in maps] for rows in (train, test)]
            start = time.process_time()
            detector = PatchGaussian(grid=levels[4].shape[2:], n_channels=n_channels, output_size=(128, 128))
            detector.fit(parts[0])
            for sigma in SIGMAS:
                detector.set_params(sigma=sigma)  # the blur comes after the fit; thresholds below are for the first
                shown = detector.anomaly_map(parts[1])
                row = f"{name}, sigma {sigma:g}"
                values = report(row, seed, shown, truth, masks, time.process_time() - start)
                results.setdefault(row, []).append(values)
                start = time.process_time()
                if sigma == SIGMAS[0]:
                    flagged = shown.reshape(len(shown), -1).max(axis=1) > -detector.offset_
                    marked = (shown[~truth] > detector.pixel_threshold_).mean()
                    rates = [100 * flagged[~truth].mean(), 100 * flagged[truth].mean(), 100 * marked]
                    results.setdefault(name, []).append(rates)
    for share in shares:
        for numbers in ((4, 5), (5,)):
            for seed in splits:
                train, test = split(data.is_outlier, seed)
                start = time.process_time()
                shown = patch_neighbours([levels[i] for i in numbers], train, test, share, levels[4].shape[2:])
                row = f"nearest of {100 * share:g} %, L{'-'.join(map(str, numbers))}"
                spent = time.process_time() - start
                values = report(row, seed, shown, data.is_outlier[test], data.masks[test], spent)
                results.setdefault(row, []).append(values)
    print(f"\nmeans over splits {splits}")
    for row, values in results.items():
        if len(values[0]) > 3:
            line(row, "mean", np.mean(values, axis=0))
    print("\nleave-one-out thresholds at 1 %, sigma 4: % of normal tiles flagged, of defects, of normal pixels marked")
    for row, values in results.items():
        if len(values[0]) == 3:
            line(row, "mean", np.mean(values, axis=0))


def patch_neighbours(
    levels: list[np.ndarray], train: np.ndarray, test: np.ndarray, share: float, grid: tuple[int, int]
) -> np.ndarray:
    """PatchCore's shape of work: 3 x 3 averages, a greedy coreset, distance to the nearest patch of it."""
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng(0)
    maps = np.concatenate([resample(uniform_filter(m, (0, 0, 3, 3)), grid) for m in levels], axis=1)
    rows = maps.transpose(0, 2, 3, 1).reshape(len(maps), grid[0] * grid[1], -1)
    bank = rows[train].reshape(-1, rows.shape[2])
    sketch = bank @ rng.normal(size=(bank.shape[1], 32)).astype(np.float32)
    chosen, farthest = [int(rng.integers(len(bank)))], np.full(len(bank), np.inf)
    while len(chosen) < share * len(bank):
        farthest = np.minimum(farthest, ((sketch - sketch[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(farthest.argmax()))
    distance = anomaly_score(KNN(1).fit(bank[chosen]), rows[test].reshape(-1, rows.shape[2]))
    return smooth(distance.astype(np.float32).reshape(-1, *grid), (128, 128), 4.0)


def cropped(pyramid: FeaturePyramid, tiles: np.ndarray, crops: int) -> Iterator[list[np.ndarray]]:
    """Batches of levels, those of crops x crops parts of each tile side by side."""
    height, width = (side // crops for side in tiles.shape[1:3])
    parts = [
        [pyramid.iterate(tiles[:, i * height : (i + 1) * height, j * width : (j + 1) * width]) for j in range(crops)]
        for i in range(crops)
    ]
    for rows in zip(*(zip(*row, strict=True) for row in parts), strict=True):
        yield [
            np.concatenate([np.concatenate(level, axis=3) for level in across], axis=2)
            for across in zip(*(zip(*row, strict=True) for row in rows), strict=True)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="of the levels")
    parser.add_argument("--map-splits", type=int, nargs="*", default=[1, 2, 3], help="of the maps")
    parser.add_argument("--settings", nargs="*", default=[""], help="only rows of maps with such a word in their names")
    parser.add_argument("--size", type=int, default=128, help="side of the tiles that the network sees")
    parser.add_argument("--crops", type=int, default=1, help="parts along a side of a tile, each seen by itself")
    parser.add_argument("--neighbours", type=float, nargs="*", default=[], help="nearest patch of such a share of all")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(machine())
    data = load("image/magnetic_tile")
    network = MobileNet(path("weights/mobilenet_v1_0.5_160"))
    pyramid = FeaturePyramid(network, LEVELS, pool=None, size=options.size, **SCALE)
    start = time.process_time()
    pooled: list[list[np.ndarray]] = [[] for _ in LEVELS]
    maps: dict[int, list[np.ndarray]] = {3: [], 4: [], 5: []}
    grid = (options.crops * options.size // 8, options.crops * options.size // 8)  # that of level 4
    for batch in cropped(pyramid, data.X, options.crops):
        for number, level in enumerate(batch, start=1):
            pooled[number - 1].append(level.mean(axis=(2, 3)))
            if number in maps:
                maps[number].append(level if number > 3 else resample(level, grid))
    seen = f"{options.crops**2} part(s) of {len(data.X)} tiles at {options.size} x {options.size}"
    print(f"six levels of {seen}: {time.process_time() - start:.0f} CPU s")
    if options.splits:
        profile([np.concatenate(level) for level in pooled], data.is_outlier, data.classes, options.splits)
    if options.map_splits:
        joined = {number: np.concatenate(parts) for number, parts in maps.items()}
        pixel_maps(joined, data, options.map_splits, options.settings, options.neighbours)


if __name__ == "__main__":
    main()
