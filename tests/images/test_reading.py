"""Batches of images: broken ones before any size is known, files named by size, warnings at the caller."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from odkit.images.reading import batches, find_images  # noqa: E402


@pytest.fixture
def files(tmp_path):
    """Two broken files, then three of 6 x 8 pixels."""
    for i in range(5):
        Image.fromarray(np.full((6, 8), i, np.uint8)).save(tmp_path / f"{i}.png")
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_broken_images_wait_for_a_size(files, batch_size):
    with pytest.warns(UserWarning, match=r"features are NaN where .*\d\.png cannot be read"):
        parts = list(batches(files, batch_size, size=None, who="X", on_error="nan"))
    assert sum(len(pixels) for pixels, _ in parts) == 5
    assert {pixels.shape[1:] for pixels, _ in parts} == {(3, 6, 8)}
    pixels = np.concatenate([pixels for pixels, _ in parts])
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], [0, 0, 2, 3, 4])
    broken = np.concatenate([np.isin(np.arange(len(pixels)), faults) for pixels, faults in parts])
    assert broken.tolist() == [True, True, False, False, False]


@pytest.mark.filterwarnings("ignore:.*features are NaN")
def test_broken_images_alone_are_an_error_without_a_size(files):
    with pytest.raises(ValueError, match="none of the 2 images can be read"):
        list(batches(files[:2], 1, size=None, who="X", on_error="nan"))
    ((pixels, faults),) = batches(files[:2], 2, size=(4, 5), who="X", on_error="nan")
    assert pixels.shape == (2, 3, 4, 5)
    assert faults == [0, 1]
    with pytest.raises(ValueError, match=r"0\.png cannot be read"):
        next(batches(files, 1, size=None, who="X"))


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_the_first_file_of_each_size_is_named(files, batch_size, on_error):
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(files[3])
    with pytest.raises(ValueError, match=r"different sizes, 6 x 8 \(.*2\.png\) and 9 x 8 \(.*3\.png\); give size="):
        list(batches(files[2:], batch_size, size=None, who="X", on_error=on_error))


def test_warnings_point_at_the_caller(files):
    torch = pytest.importorskip("torch")
    from odkit.images.features import FeaturePyramid

    pyramid = FeaturePyramid(torch.nn.Sequential(torch.nn.Identity()), ["0"], on_error="nan")
    for use in (pyramid.transform, lambda X: next(pyramid.iterate(X))):
        with pytest.warns(UserWarning, match="features are NaN") as caught:
            use(files)
        assert {warning.filename for warning in caught} == {__file__}


def test_a_file_is_no_folder(files):
    with pytest.raises(NotADirectoryError, match=r"2\.png is a file; .* give \[file\]"):
        find_images(files[2])
