"""The published profiles on real data: which level of a real network tells defects apart, which shrinkage helps."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from odkit import FeaturePyramid, LevelMahalanobis, anomaly_score
from odkit.datasets import load, path

pytestmark = pytest.mark.data


def test_levels_of_mobilenet_on_magnetic_tiles(data_home):
    """Quality rises with depth, peaks before the last level, and the sum is below the best level."""
    torch = pytest.importorskip("torch")
    from benchmarks.images.magnetic_tiles import split
    from benchmarks.images.mobilenet import LEVELS, SCALE, MobileNet

    data = load("image/magnetic_tile")
    network = MobileNet(path("weights/mobilenet_v1_0.5_160"))
    assert isinstance(network, torch.nn.Module)
    maps = FeaturePyramid(network, LEVELS, pool=None, **SCALE).transform(data.X[:1])
    sides = ((16, 64), (32, 64), (64, 32), (128, 16), (256, 8), (512, 4))
    assert [level.shape for level in maps] == [(1, width, side, side) for width, side in sides]
    half = slice(None, None, 2)
    levels, is_outlier = FeaturePyramid(network, LEVELS, **SCALE).transform(data.X[half]), data.is_outlier[half]
    train, test = split(is_outlier, 0)
    detector = LevelMahalanobis(fpr=0.05).fit([level[train] for level in levels])
    distances = detector.distances([level[test] for level in levels])
    truth = is_outlier[test]
    single = [100 * roc_auc_score(truth, distance) for distance in distances.T]
    whole = 100 * roc_auc_score(truth, distances.sum(axis=1))
    assert (np.diff(single[:5]) > 0).all()
    assert single[4] > single[5]
    assert single[4] > whole
    np.testing.assert_allclose([*single, whole], [55.8, 60.6, 66.2, 78.4, 91.4, 86.0, 86.9], atol=4)  # of all tiles
    flagged = detector.predict([level[test] for level in levels]) == -1
    assert 0.03 < flagged[~truth].mean() < 0.08


@pytest.mark.filterwarnings("ignore:.*constant columns")
def test_the_order_of_shrinkages_on_mvtec(data_home):
    from benchmarks.images.mvtec import MODELS, split

    names = ("L2", "SED", "PCA95", "PCA99", "LW")
    aurocs = {name: [] for name in names}
    for card in ("features/MVTec-AD_grid", "features/MVTec-AD_metal_nut"):
        data = load(card)
        for seed in range(3):
            train, _, test, truth = split(data, seed, 0.5)
            for name in names:
                detector = clone(MODELS[name]).set_params(fpr=0.1).fit(train)
                aurocs[name].append(100 * roc_auc_score(truth, anomaly_score(detector, test)))
    means = [np.mean(aurocs[name]) for name in names]
    assert (np.diff(means) > 0).all()
    np.testing.assert_allclose(means, [62.3, 66.4, 69.4, 76.6, 80.4], atol=3)  # of the two classes, ten splits
