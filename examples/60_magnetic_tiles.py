"""Where is the defect? A heat map for every tile, from nothing but pictures of good ones.

    python examples/60_magnetic_tiles.py [tiles.png] [--tiles]

The woven textures that come with odkit, through a bank of fixed filters. With `--tiles` the same code looks at the
magnetic tiles of the data folder through MobileNetV1, and says what is missing where they or torch are not there.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

from odkit import PatchGaussian
from odkit.adapters.heatmaps import gallery, overlay
from odkit.datasets import load, make_toy_images
from odkit.metrics.pixels import au_pro, image_score


class Filters:
    """Local brightness and log strength of slopes in grey images, averaged over cells of 4 x 4 pixels."""

    def transform(self, images):
        from scipy import ndimage

        x = np.asarray(images, dtype=float) / 128 - 1
        parts = [10 * ndimage.gaussian_filter(x, (0, 2, 2))]
        for order in ((0, 1, 0), (0, 0, 1), (0, 2, 0), (0, 0, 2), (0, 1, 1)):
            slope = ndimage.gaussian_filter(x, (0, 1, 1), order=order)
            parts += [np.log(ndimage.gaussian_filter(slope**2, (0, 2, 2)) + 1e-6)]
        maps = np.stack(parts, axis=1)
        n, channels, height, width = maps.shape
        return [maps.reshape(n, channels, height // 4, 4, width // 4, 4).mean(axis=(3, 5))]


def toys():
    images, masks, kinds = make_toy_images(140, n_per_defect=5)
    return images, masks, kinds, PatchGaussian(Filters(), sigma=1.5, eps=1e-3, fpr=0.02)


def tiles():
    sys.path.insert(0, str(Path(__file__).parents[1]))  # the network is the benchmarks', no part of odkit
    from benchmarks.images.mobilenet import SCALE, MobileNet
    from odkit import FeaturePyramid
    from odkit.datasets import path

    network = MobileNet(path("weights/mobilenet_v1_0.5_160"))
    data = load("image/magnetic_tile")
    rng = np.random.default_rng(0)
    free = rng.permutation(np.flatnonzero(~data.is_outlier))[:240]
    defects = rng.permutation(np.flatnonzero(data.is_outlier))[:30]
    rows = np.concatenate([free, defects])
    pyramid = FeaturePyramid(network, ["block10", "block22"], pool=None, **SCALE)
    detector = PatchGaussian(pyramid, fpr=0.02)
    return data.X[rows], data.masks[rows], np.where(data.is_outlier, data.classes, "free")[rows], detector


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        images, masks, kinds, detector = tiles() if "--tiles" in sys.argv else toys()
    except (ImportError, FileNotFoundError) as error:
        sys.exit(f"60_magnetic_tiles: {error}")
    train, fresh = np.split(np.flatnonzero(kinds == "free"), [(kinds == "free").sum() * 3 // 4])
    test = np.concatenate([fresh, np.flatnonzero(kinds != "free")])
    detector.fit(images[train])
    maps = detector.anomaly_map(images[test])
    flagged = detector.predict(images[test]) == -1
    bad = kinds[test] != "free"
    print(f"{len(train)} good pictures learnt; {flagged[bad].sum()} of {bad.sum()} defects flagged,")
    print(f"{flagged[~bad].sum()} of {(~bad).sum()} further good pictures (asked for: {100 * detector.fpr:g} %)")
    print(f"AU-PRO of the maps up to 30 % false positives: {100 * au_pro(masks[test], maps):.1f} %")
    shown = [np.flatnonzero(kinds[test] == kind)[0] for kind in dict.fromkeys(kinds[test].tolist())]
    top = float(image_score(maps).max())
    pictures = [
        [images[test][i], masks[test][i].astype(np.uint8) * 255,
         overlay(images[test][i], maps[i], threshold=detector.pixel_threshold_, top=top)]
        for i in shown
    ]  # fmt: skip
    files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    labels = [str(kinds[test][i]) for i in shown]
    gallery(pictures, *files[:1], titles=("picture", "truth", "unusual"), labels=labels, scale=2)
    print(f"gallery of {', '.join(labels)}: {files[0] if files else 'give a file name to keep it'}")
