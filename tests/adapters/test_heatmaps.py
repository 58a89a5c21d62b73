"""Heat maps: what is coloured, in which order, and how galleries are laid out."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from odkit.adapters.heatmaps import gallery, overlay  # noqa: E402


def test_only_what_is_above_the_threshold_is_coloured():
    image = np.random.default_rng(0).integers(0, 256, (8, 9), dtype=np.uint8)
    scores = np.arange(72.0).reshape(8, 9)
    picture = overlay(image, scores, threshold=40)
    same = (picture == image[:, :, None]).all(axis=2)
    np.testing.assert_array_equal(same[scores <= 40], True)
    assert same[scores > 40].mean() < 0.1
    np.testing.assert_array_equal(overlay(image, scores, threshold=100), np.repeat(image[:, :, None], 3, axis=2))
    colour = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(overlay(colour, scores, threshold=40), picture)


def test_colours_darken_with_the_score():
    picture = overlay(np.zeros((1, 50), np.uint8), np.linspace(1, 2, 50)[None], threshold=0.999, strength=1.0)
    full = overlay(np.full((1, 50), 255, np.uint8), np.linspace(1, 2, 50)[None], threshold=0.999, strength=1.0)
    assert (np.diff(full[0].mean(axis=1)) < 0).all()
    assert picture.dtype == np.uint8


def test_one_top_makes_maps_comparable():
    image = np.zeros((1, 1), np.uint8)
    alone = overlay(image, [[2.0]], threshold=1)
    beside = overlay(image, [[2.0]], threshold=1, top=10)
    assert not np.array_equal(alone, beside)


def test_a_gallery_is_laid_out_in_rows(tmp_path):
    a, b = np.full((5, 7), 200, np.uint8), np.full((5, 7, 3), (9, 8, 7), np.uint8)
    sheet = gallery([[a, b], [b, a]], tmp_path / "sheet.png", titles=["one", "two"], labels=["x", "y"], scale=2)
    pixels = np.asarray(sheet)
    assert pixels.shape == (16 + 2 * 14, 90 + 2 * 18, 3)
    assert (pixels[16:26, 90:104] == 200).all()
    assert (pixels[16:26, 108:122] == (9, 8, 7)).all()
    assert (pixels[30:40, 90:104] == (9, 8, 7)).all()
    with Image.open(tmp_path / "sheet.png") as stored:
        np.testing.assert_array_equal(np.asarray(stored), pixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((3, 3))}, "dtype float64"),
        ({"anomaly_map": np.zeros((2, 3))}, "shape"),
        ({"anomaly_map": np.full((3, 3), np.nan)}, "not finite"),
        ({"strength": 0}, "strength"),
        ({"top": 0.5}, "below threshold"),
        ({"threshold": np.nan}, "threshold=nan"),
        ({"threshold": np.inf}, "threshold=inf"),
        ({"top": np.inf}, "top=inf"),
    ],
)
def test_hostile_input_is_named(change, message):
    given = {"image": np.zeros((3, 3), np.uint8), "anomaly_map": np.zeros((3, 3)), "threshold": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        overlay(given.pop("image"), given.pop("anomaly_map"), **given)


def test_hostile_galleries_are_named():
    a, b = np.zeros((5, 7), np.uint8), np.zeros((5, 6), np.uint8)
    for rows, options, message in [
        ([[a, b]], {}, "one size"),
        ([[a], [a, a]], {}, "equally many"),
        ([[a]], {"titles": ["x", "y"]}, "2 titles for 1 columns"),
        ([[a, a / 2]], {}, "dtype float64; uint8"),
        ([[np.zeros((5, 7, 4), np.uint8)]], {}, r"shape \(5, 7, 4\)"),
        ([[a]], {"scale": 0}, "scale=0"),
    ]:
        with pytest.raises(ValueError, match=message):
            gallery(rows, **options)
