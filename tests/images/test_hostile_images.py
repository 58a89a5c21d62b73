"""Pictures as people have them, through whole detectors: mixed sizes, broken files, too few images, layers misspelt."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from odkit import (  # noqa: E402
    ClassConditionalGaussian,
    FeaturePyramid,
    LatentGMM,
    LevelMahalanobis,
    PatchGaussian,
)

NET = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 6, 3, 2, 1)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of 16 x 12 pixels, grey ones and coloured ones, some with an opaque fourth channel."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(40):
        mode = ("L", "RGB", "RGBA")[i % 3]
        pixels = rng.integers(90, 160, (16, 12), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i:02}.png")
    return folder


@pytest.fixture
def spoiled(folder, tmp_path):
    """The same pictures, number 3 cut short and number 5 of another size."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    half = (tmp_path / "03.png").read_bytes()
    (tmp_path / "03.png").write_bytes(half[: len(half) // 2])
    Image.open(tmp_path / "05.png").resize((20, 20)).save(tmp_path / "05.png")
    return tmp_path


def maps(**options):
    pyramid = FeaturePyramid(NET, ["1", "2"], pool=None, mean=128, std=64, **options)
    return PatchGaussian(pyramid, output_size=(16, 12), fpr=0.1)


def rows(**options):
    return FeaturePyramid(NET, ["1", "2"], mean=128, std=64, **options)


def test_grey_colour_and_alpha_make_one_training_set(folder):
    assert maps().fit(folder).anomaly_map(folder).shape == (40, 16, 12)
    assert LevelMahalanobis(fpr=0.1).fit(rows().transform(folder)).widths_ == (4, 6)


def test_mixed_sizes_and_broken_files_are_named(spoiled):
    with pytest.raises(ValueError, match=r"03\.png cannot be read"):
        maps(size=(16, 12)).fit(spoiled)
    (spoiled / "03.png").unlink()
    with pytest.raises(ValueError, match=r"sizes, 16 x 12 \(.*00\.png\) and 20 x 20 \(.*05\.png\); give size="):
        maps().fit(spoiled)
    assert maps(size=(16, 12)).fit(spoiled).n_samples_seen_ == 39


def test_a_broken_file_can_be_left_out(spoiled):
    """Rows of NaN are an error to every detector, so that leaving images out is a decision and no accident."""
    with pytest.warns(UserWarning, match=r"features are NaN where .*03\.png"):
        levels = rows(size=(16, 12), on_error="nan").transform(spoiled)
    with pytest.raises(ValueError, match="NaN"):
        LevelMahalanobis(fpr=0.1).fit(levels)
    whole = np.isfinite(levels[0]).all(axis=1)
    assert np.flatnonzero(~whole).tolist() == [3]
    assert LevelMahalanobis(fpr=0.1).fit([level[whole] for level in levels]).n_samples_seen_ == 39
    with (
        pytest.warns(UserWarning, match=r"03\.png"),
        pytest.raises(ValueError, match="images 3, counted from 0, are NaN or infinite"),
    ):
        maps(size=(16, 12), on_error="nan").fit(spoiled)


@pytest.mark.parametrize("detector", [maps(), ClassConditionalGaussian(rows()), LatentGMM(rows(output="matrix"))])
def test_too_few_images(folder, detector):
    with pytest.raises(ValueError, match=r"too few for a covariance|leave 0 rows for the threshold"):
        detector.fit(sorted(folder.iterdir())[:1])


def test_too_few_rows_for_levels(folder):
    with pytest.raises(ValueError, match=r"two rows or more|minimum of 2"):
        LevelMahalanobis(fpr=0.1).fit(rows().transform(sorted(folder.iterdir())[:1]))
    with pytest.warns(UserWarning, match=r"20 rows are too few .* needs 99"):
        LevelMahalanobis().fit(rows().transform(sorted(folder.iterdir())[:20]))


@pytest.mark.parametrize("make", [PatchGaussian, ClassConditionalGaussian, LatentGMM])
def test_a_misspelt_layer_lists_those_that_exist(folder, make):
    pool = None if make is PatchGaussian else "avg"
    with pytest.raises(ValueError, match=r"Sequential has no layer '3'.*it has 0, 1, 2"):
        make(FeaturePyramid(NET, ["1", "3"], pool=pool)).fit(folder)


def test_a_folder_is_scored_like_its_list(folder):
    y = np.arange(40) % 2
    detector = ClassConditionalGaussian(rows(), fpr=0.1, random_state=0).fit(folder, y)
    np.testing.assert_array_equal(detector.score_samples(folder), detector.score_samples(sorted(folder.iterdir())))
    with pytest.raises(ValueError, match="X has 40 samples and y 39"):
        detector.fit(folder, y[1:])
