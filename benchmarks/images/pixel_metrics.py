"""Pixel metrics on many pixels, beside scikit-learn's where it has them: all exact, no binning.

    python -m benchmarks.images.pixel_metrics [--images 153]

Maps of 256 x 256 float32, two defects in every third image; CPU seconds, medians of three.
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.timing import interleaved, machine
from odkit.metrics.pixels import au_pro, f1_max, pixel_ap, pixel_auroc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=153)
    n = parser.parse_args().images
    print(machine())
    rng = np.random.default_rng(0)
    masks = np.zeros((n, 256, 256), bool)
    masks[::3, 20:40, 30:60] = masks[::3, 150:155, 100:180] = True
    maps = rng.normal(size=masks.shape).astype(np.float32) + masks
    print(f"{maps.size / 1e6:.1f} million pixels, {masks.mean():.1%} defective")
    contestants = {
        "au_pro": lambda: au_pro(masks, maps),
        "pixel_auroc": lambda: pixel_auroc(masks, maps),
        "roc_auc_score": lambda: roc_auc_score(masks.ravel(), maps.ravel()),
        "pixel_ap": lambda: pixel_ap(masks, maps),
        "average_precision_score": lambda: average_precision_score(masks.ravel(), maps.ravel()),
        "f1_max": lambda: f1_max(masks, maps),
    }
    for name, times in interleaved(contestants, repeats=3, clock=time.process_time).items():
        print(f"{name:26}{statistics.median(times):7.2f} s")


if __name__ == "__main__":
    main()
