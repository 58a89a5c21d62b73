"""Images as people have them: depths, palettes, transparency and orientation of files; arrays in their own unit."""

import struct
import zlib

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from odkit.images.pixels import planes  # noqa: E402

GREY = np.full((6, 8), 200, np.uint8)


def deep_png(file, value):
    """A colour PNG of 16 bits per channel, which Pillow cannot write."""
    rows = b"".join(b"\0" + struct.pack(">HHH", value, value, value) * 4 for _ in range(3))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_files_and_images_of_pillow_have_pixels_up_to_255(tmp_path):
    red = Image.fromarray(np.stack([GREY, 0 * GREY, 0 * GREY], axis=2))
    for name, image, expected in [
        ("grey", Image.fromarray(GREY), (200, 200, 200)),
        ("bit", Image.fromarray(GREY > 100), (255, 255, 255)),
        ("palette", red.convert("P", palette=Image.Palette.ADAPTIVE), (200, 0, 0)),
        ("opaque", red.convert("RGBA"), (200, 0, 0)),
    ]:
        image.save(tmp_path / f"{name}.png")
        for given in (image, tmp_path / f"{name}.png"):
            found = planes(given, None)
            assert found.shape == (3, 6, 8), name
            np.testing.assert_array_equal(found[:, 0, 0], expected, err_msg=name)
    np.testing.assert_array_equal(planes(red.convert("CMYK"), None)[:, 0, 0], (200, 0, 0))


def test_more_than_eight_bits_are_refused(tmp_path):
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    deep.save(tmp_path / "grey.png")
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "float.tif")
    deep_png(tmp_path / "colour.png", 200 * 257)
    for given in (deep, *sorted(tmp_path.iterdir())):
        with pytest.raises(ValueError, match=r"has more than 8 bits per channel \(mode .*give arrays"):
            planes(given, None)
    assert planes(GREY.astype(np.uint16) * 257, None).max() == 51400  # an array keeps its unit


def test_transparency_by_colour_is_found(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png", transparency=200)
    Image.fromarray(np.stack([GREY] * 3, axis=2)).save(tmp_path / "colour.png", transparency=(200, 200, 200))
    for file in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match="has transparent pixels"):
            planes(file, None)
    Image.fromarray(GREY).save(tmp_path / "unused.png", transparency=7)
    assert planes(tmp_path / "unused.png", None).min() == 200


def test_files_are_turned_upright(tmp_path):
    tag = Image.Exif()
    tag[0x0112] = 6  # turn by 90 degrees clockwise
    lying = np.zeros((8, 16, 3), np.uint8)
    lying[:, :8] = 255
    Image.fromarray(lying).save(tmp_path / "a.png", exif=tag)
    upright = planes(tmp_path / "a.png", None)
    assert upright.shape == (3, 16, 8)
    np.testing.assert_array_equal(upright, planes(np.rot90(lying, -1), None))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((3, 3, 4), 255, np.int64), "fourth channel from 255 to 255; of dtype int64 only 1 is known"),
        (np.full((3, 3, 4), 255.0), "fourth channel from 255.0 to 255.0"),
        (np.full((3, 3, 4), 255, np.uint16), "transparent pixels"),
    ],
)
def test_a_fourth_channel_is_not_guessed(image, message):
    with pytest.raises(ValueError, match=message):
        planes(image, None)


def test_tensors_in_a_list_are_named():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="is a torch tensor in a list; give one tensor"):
        planes(torch.zeros(3, 4, 4), None)
