"""A defect pattern nobody has seen: known patterns are named, new ones are set aside for a person to look at.

    python examples/61_wafer_maps.py [wafers.png]

Needs torch. Wafers are lists of defect coordinates on a grid of 1000 x 1000 cells.
"""

import sys
import warnings
from importlib.util import find_spec

import numpy as np

from odkit import LatentGMM, SparseWaferEncoder
from odkit.adapters.heatmaps import gallery
from odkit.datasets import make_wafer_maps

SIZE = 1000
KNOWN = ["none", "center", "edge_ring", "random"]


def picture(wafer: np.ndarray) -> np.ndarray:
    """Defects as dark dots on a grey disc, 120 x 120 pixels."""
    y, x = np.mgrid[-1:1:120j, -1:1:120j]
    image = np.where(x**2 + y**2 <= 1, 220, 255).astype(np.uint8)
    image[tuple((wafer * 120 // SIZE).T)] = 20
    return image


if __name__ == "__main__":
    if find_spec("torch") is None:
        sys.exit("61_wafer_maps: the sparse network needs torch; pip install odkit[torch]")
    warnings.simplefilter("ignore")
    maps, patterns = make_wafer_maps(60, patterns=KNOWN, size=SIZE, random_state=0)
    encoder = SparseWaferEncoder(
        channels=(8, 16, 32, 32, 32), pools=(8, 2, 2, 2, 2), latent=32, size=SIZE, epochs=16, batch_size=16
    )
    detector = LatentGMM(encoder, fpr=0.05, reject_label="new", random_state=0).fit(maps, patterns)
    test, truth = make_wafer_maps(20, patterns=[*KNOWN, "near_full", "donut"], size=SIZE, random_state=1)
    found = detector.predict_class(test)
    for name in dict.fromkeys(truth.tolist()):
        answers, counts = np.unique(found[truth == name], return_counts=True)
        said = ", ".join(f"{count} {answer}" for answer, count in zip(answers, counts, strict=True))
        print(f"{name:10} {'known' if name in KNOWN else 'new':6} -> {said}")
    first = [int(np.flatnonzero(truth == name)[0]) for name in dict.fromkeys(truth.tolist())]
    titles = [f"{truth[i]}: {found[i]}" for i in first]
    gallery([[picture(test[i]) for i in first]], *sys.argv[1:2], titles=titles)
    print(f"gallery of one wafer each: {sys.argv[1] if len(sys.argv) > 1 else 'give a file name to keep it'}")
