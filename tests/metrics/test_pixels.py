"""Pixel metrics: golden numbers worked out by hand, scikit-learn on the pooled pixels, and the plain double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from odkit import kernels
from odkit.metrics.pixels import au_pro, f1_max, image_score, pixel_ap, pixel_auroc
from tests import naive

MAP = np.array([[0.9, 0.3, 0.2, 0.1], [0.4, 0.85, 0.25, 0.15], [0.35, 0.05, 0.8, 0.7], [0.45, 0.12, 0.6, 0.3]])
MASK = np.zeros((4, 4), dtype=bool)
MASK[0, 0], MASK[2:, 2:] = True, True


def test_goldens():
    # provenance: the project's specification of the metrics, computed from the definition over all 14 thresholds
    assert au_pro(MASK, MAP) == pytest.approx(0.761363636, abs=1e-9)
    np.testing.assert_allclose(au_pro(MASK, MAP, [0.05, 0.3, 1]), [0.5, 0.761363636, 0.914772727], atol=1e-9)
    assert pixel_ap(MASK, MAP) == pytest.approx(0.743333333, abs=1e-9)
    assert pixel_auroc(MASK, MAP) == pytest.approx(0.863636364, abs=1e-9)
    assert f1_max(MASK, MAP) == pytest.approx((0.8, 0.6))


def test_corners_join_regions_or_not():
    masks = np.zeros((5, 5), dtype=bool)
    masks[0, 0], masks[1, 1:4] = True, True
    maps = np.where(masks, 0.0, 0.5)
    maps[0, 0] = 1
    # one region of four: a quarter is found; two regions: half of the mean
    assert au_pro(masks, maps, 0.05, connectivity=8) == pytest.approx(0.25)
    assert au_pro(masks, maps, 0.05, connectivity=4) == pytest.approx(0.5)


def test_regions_do_not_reach_into_the_next_image():
    masks = np.zeros((2, 3, 3), dtype=bool)
    masks[:, 1, 1] = True
    maps = np.zeros((2, 3, 3))
    maps[0, 1, 1] = 1
    assert au_pro(masks, maps, 1e-6) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3, 1.0])
def test_perfect_constant_and_worst_maps(limit):
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, :2, :2], masks[0, 5:, 5:] = True, True
    assert au_pro(masks, masks.astype(float), limit) == pytest.approx(1)
    assert au_pro(masks, np.zeros(masks.shape), limit) == pytest.approx(limit / 2)
    assert au_pro(masks, -masks.astype(float), limit) == pytest.approx(0, abs=1e-12)
    assert pixel_auroc(masks, np.ones(masks.shape)) == 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([0.02, 0.3, 1.0]), st.sampled_from([4, 8]))
def test_any_map_agrees_with_the_plain_definitions(seed, levels, limit, connectivity):
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 5, 6)) < 0.3
    masks[0, 0, 0], masks[0, 0, 1] = True, False
    maps = rng.integers(0, levels, masks.shape).astype(np.float32)  # few levels: many ties
    truth, scores = masks.ravel(), maps.ravel()
    assert au_pro(masks, maps, limit, connectivity=connectivity) == pytest.approx(
        naive.au_pro(masks, maps, limit, connectivity), abs=1e-12
    )
    assert pixel_auroc(masks, maps) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert pixel_ap(masks, maps) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    value, threshold = f1_max(masks, maps)
    assert value == pytest.approx(f1.max(), abs=1e-12)
    assert f1[np.searchsorted(thresholds, threshold)] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("change", ["monotone", "fortran", "read-only", "float32", "integers", "uint8 masks"])
def test_only_the_order_of_the_scores_counts(change):
    rng = np.random.default_rng(0)
    masks, maps = rng.random((4, 9, 9)) < 0.2, rng.integers(0, 100, (4, 9, 9)).astype(float)
    expected = au_pro(masks, maps), pixel_ap(masks, maps), pixel_auroc(masks, maps)
    given = {
        "monotone": lambda: (masks, np.exp(maps / 20)),
        "fortran": lambda: (np.asfortranarray(masks), np.asfortranarray(maps)),
        "read-only": lambda: (masks, np.broadcast_to(maps, maps.shape)),
        "float32": lambda: (masks, maps.astype(np.float32)),
        "integers": lambda: (masks, maps.astype(np.uint8)),
        "uint8 masks": lambda: (masks.astype(np.uint8), maps),
    }[change]()
    assert (au_pro(*given), pixel_ap(*given), pixel_auroc(*given)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [au_pro, pixel_auroc, pixel_ap, f1_max])
def test_hostile_input_is_named(metric):
    masks, maps = MASK, MAP
    for wrong, message in [
        ((masks, maps[:3]), "shape"),
        ((masks.ravel(), maps.ravel()), "shape"),
        ((masks * 255, maps), "other values"),
        ((np.zeros_like(masks), maps), "no defective pixel"),
        ((np.ones_like(masks), maps), "no normal pixel"),
        ((masks, np.where(maps > 0.8, np.nan, maps)), "not finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric(*wrong)


def test_hostile_options_are_named():
    for options, message in [
        ({"limit": 0}, "limit"),
        ({"limit": [0.3, 1.1]}, "limit"),
        ({"connectivity": 6}, "4 or 8"),
    ]:
        with pytest.raises(ValueError, match=message):
            au_pro(MASK, MAP, **options)
    for rule in ("median", ("top", 0), ("top", 1.5), ("bottom", 0.1)):
        with pytest.raises(ValueError, match="image_score"):
            image_score(MAP[None], rule)
    with pytest.raises(ValueError, match="n_images"):
        image_score(MAP)


def test_image_scores():
    maps = np.arange(32.0).reshape(2, 4, 4)
    np.testing.assert_array_equal(image_score(maps), [15, 31])
    np.testing.assert_array_equal(image_score(maps, "mean"), [7.5, 23.5])
    np.testing.assert_array_equal(image_score(maps, ("top", 0.25)), [13.5, 29.5])
    np.testing.assert_array_equal(image_score(maps, ("top", 0.01)), [15, 31])


def test_the_torch_twin_gives_the_same_curve():
    pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    wanted, unwanted = rng.integers(0, 9, 50).astype(float), rng.integers(0, 9, 400).astype(float)
    weight = rng.random(50)
    cpu, gpu = kernels.on("cpu"), kernels.on("torch")
    expected = cpu.pixels.region_curve(wanted, weight, unwanted)
    given = gpu.pixels.region_curve(*(gpu.array(part) for part in (wanted, weight, unwanted)))
    for one, other in zip(expected, given, strict=True):
        np.testing.assert_allclose(one, gpu.numpy(other), rtol=1e-12)
