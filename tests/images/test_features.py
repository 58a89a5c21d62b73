"""FeaturePyramid: hooks that leave no trace, every form of image, every fault named."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from odkit.images.features import FeaturePyramid  # noqa: E402
from odkit.images.reading import find_images  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = torch.nn.Conv2d(3, 4, 3, 2, 1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.body = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, 2, 1), torch.nn.ReLU())
        self.unused = torch.nn.Linear(2, 2)
        self.pair = Pair()
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 4

    def forward(self, x):
        x = self.norm(self.stem(x))
        self.pair(x)
        return self.body(x)


class Pair(torch.nn.Module):
    def forward(self, x):
        return x, x


@pytest.fixture
def net():
    return Net()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 12, 10, 3), dtype=np.uint8)


def test_cells_keep_where_things_are(net):
    images = np.random.default_rng(0).normal(size=(3, 24, 16))
    maps = FeaturePyramid(net, ["body"], pool=None).transform(images)[0]
    height, width = (side // 2 for side in maps.shape[2:])
    assert maps.shape[2:] == (2 * height, 2 * width)
    parts = maps.reshape(3, -1, 2, height, 2, width)
    for pool, expected in [("avg", parts.mean(axis=(3, 5))), ("max", parts.max(axis=(3, 5)))]:
        rows = FeaturePyramid(net, ["body"], pool=pool, cells=2).transform(images)[0]
        np.testing.assert_allclose(rows, expected.reshape(3, -1), rtol=1e-5)


def test_levels_are_what_the_layers_put_out(net, images):
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 128 - 1)
    net.eval()
    with torch.no_grad():
        stem = net.norm(net.stem(x))
        body = net.body(stem)
    net.train()
    maps = FeaturePyramid(net, ["body", "norm"], pool=None, mean=128, std=128, batch_size=3).transform(images)
    np.testing.assert_allclose(maps[0], body.numpy(), atol=1e-5)
    np.testing.assert_allclose(maps[1], stem.numpy(), atol=1e-5)
    for pool, reduce in [("avg", np.mean), ("max", np.max)]:
        rows = FeaturePyramid(net, ["body", "norm"], pool=pool, mean=128, std=128).transform(images)
        np.testing.assert_allclose(rows[0], reduce(maps[0], axis=(2, 3)), atol=1e-5)
    matrix = FeaturePyramid(net, ["body", "norm"], mean=[128] * 3, std=128, output="matrix").transform(images)
    assert matrix.shape == (7, 10)


def test_nothing_is_left_behind(net, images):
    net.train()
    net.body.eval()
    modes = {name: module.training for name, module in net.named_modules()}
    statistics = net.norm.running_mean.clone()
    pyramid = FeaturePyramid(net, ["body"])
    pyramid.transform(images)
    with pytest.raises(RuntimeError):
        pyramid.transform(torch.zeros(2, 5, 8, 8))  # the network itself fails
    for name, module in net.named_modules():
        assert module.training == modes[name], name
        assert not module._forward_hooks
    assert torch.equal(net.norm.running_mean, statistics)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_first_layer_that_writes_into_its_input_leaves_the_callers_tensor_alone():
    net = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Conv2d(3, 2, 1))
    x = torch.full((2, 3, 4, 4), -1.0)
    pyramid = FeaturePyramid(net, ["1"])
    pyramid.transform(x)
    pyramid.step_down(x, lambda levels: [np.ones_like(level) for level in levels], 0.1)
    assert (x == -1).all()


def test_a_batch_size_changes_nothing(net, images):
    one, all_ = (FeaturePyramid(net, ["stem"], batch_size=size).transform(images)[0] for size in (1, 32))
    np.testing.assert_allclose(one, all_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["boddy"], "no layer 'boddy'; the nearest are 'body'.*it has stem, norm, body, body.0"),
        (["unused"], "'unused' is never called"),
        (["pair"], "puts out a tuple"),
        ([], "layers is empty"),
        ([0], "names of submodules are needed"),
    ],
)
def test_wrong_layers_are_named(net, images, layers, message):
    with pytest.raises(ValueError, match=message):
        FeaturePyramid(net, layers).transform(images)


def test_a_layer_called_twice_is_an_error(images):
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), relu, torch.nn.Conv2d(3, 3, 3), relu)
    with pytest.raises(ValueError, match="'1' is called more than once"):
        FeaturePyramid(net, ["1"]).transform(images)


def test_files_folders_and_arrays_agree(net, images, tmp_path):
    for i, image in enumerate(images):
        (tmp_path / str(i % 2)).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / str(i % 2) / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    order = [int(file.stem) for file in find_images(tmp_path)]
    pyramid = FeaturePyramid(net, ["body"], batch_size=2)
    expected = pyramid.transform(images[order])[0]
    for given in (tmp_path, str(tmp_path), find_images(tmp_path), list(images[order])):
        np.testing.assert_allclose(pyramid.transform(given)[0], expected, rtol=1e-5)
    ready = torch.from_numpy(images[order].transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(pyramid.transform(ready)[0], expected, rtol=1e-5)


def test_grey_colour_and_alpha(net, images, tmp_path):
    grey = images[..., 0]
    pyramid = FeaturePyramid(net, ["body"])
    expected = pyramid.transform(np.repeat(grey[..., None], 3, axis=3))[0]
    opaque = np.concatenate([np.repeat(grey[..., None], 3, axis=3), np.full((*grey.shape, 1), 255, np.uint8)], axis=3)
    for given in (grey, grey[..., None], opaque, [*grey[:3], *opaque[3:]]):
        np.testing.assert_allclose(pyramid.transform(given)[0], expected, rtol=1e-5)
    opaque[2, 4, 4, 3] = 100
    with pytest.raises(ValueError, match="image 2 has transparent pixels"):
        pyramid.transform(opaque)
    Image.fromarray(grey[0]).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(grey[0]).convert("LA").save(tmp_path / "alpha.png")
    np.testing.assert_allclose(pyramid.transform(tmp_path)[0], expected[[0, 0]], rtol=1e-5)


def test_mixed_sizes(net, images):
    mixed = [images[0], images[1][:8]]
    with pytest.raises(ValueError, match=r"different sizes, 8 x 10 \(image 1\) and 12 x 10 \(image 0\); give size="):
        FeaturePyramid(net, ["body"]).transform(mixed)
    assert FeaturePyramid(net, ["body"], size=16).transform(mixed)[0].shape == (2, 6)
    flat = np.full((1, 20, 30, 3), 77, np.uint8)
    resized = FeaturePyramid(net, ["stem"], size=(12, 10), pool=None).transform(flat)[0]
    np.testing.assert_allclose(resized, FeaturePyramid(net, ["stem"], pool=None).transform(flat[:, :12, :10])[0])


def test_broken_files_are_named(net, images, tmp_path):
    for i in range(3):
        Image.fromarray(images[i]).save(tmp_path / f"{i}.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1\.png cannot be read .*2\.png cannot be read"):
        FeaturePyramid(net, ["body"]).transform(tmp_path)
    with pytest.warns(UserWarning, match=r"1\.png"):
        rows = FeaturePyramid(net, ["body"], on_error="nan").transform(tmp_path)[0]
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True]
    np.testing.assert_allclose(rows[0], FeaturePyramid(net, ["body"]).transform(images[:1])[0][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "one image or more"),
        (np.zeros((0, 8, 8)), "one image or more"),
        (np.zeros((2, 8, 8, 2)), "has shape"),
        (np.zeros((8, 8)), "has shape"),
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.full((2, 8, 8), "x"), "dtype"),
        (3, "array, a folder"),
    ],
)
def test_hostile_input_is_named(net, given, message):
    with pytest.raises(ValueError, match=message):
        FeaturePyramid(net, ["body"]).transform(given)


def test_empty_and_missing_folders(net, tmp_path):
    with pytest.raises(FileNotFoundError, match="no image in"):
        FeaturePyramid(net, ["body"]).transform(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        FeaturePyramid(net, ["body"]).transform(tmp_path / "absent")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "median"}, "pool"),
        ({"pool": None, "output": "matrix"}, "needs pooled levels"),
        ({"size": (3,)}, "no pair"),
        ({"std": 0.0}, "std"),
        ({"std": (0, 1, 1)}, r"std=\(0, 1, 1\) has a number that is not positive"),
        ({"std": np.inf}, "std"),
        ({"mean": np.nan}, "mean=nan; a finite number or three"),
        ({"mean": (1, 2)}, r"mean=\[1, 2\]; a finite number or three"),
        ({"model": 3}, "torch.nn.Module"),
    ],
)
def test_hostile_parameters_are_named(net, images, options, message):
    with pytest.raises(ValueError, match=message):
        FeaturePyramid(**{"model": net, "layers": ["body"], **options}).transform(images)


def test_it_stands_in_a_pipeline(net, images):
    from odkit import KNN

    pipeline = make_pipeline(FeaturePyramid(net, ("stem", "body"), output="matrix"), KNN(2)).fit(images)
    assert clone(pipeline).fit(images).score_samples(images).shape == (7,)
