"""Input steps of ClassConditionalGaussian: the slope against finite differences, the step against plain autograd."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit import ClassConditionalGaussian, FeaturePyramid  # noqa: E402


@pytest.fixture
def net():
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Tanh(), torch.nn.Conv2d(5, 3, 3, 2)
    )
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 2
    return net


@pytest.fixture
def images():
    """Bright left halves and bright right halves, 12 x 10 pixels, and which is which."""
    rng = np.random.default_rng(0)
    y = np.repeat(["left", "right"], 60)
    images = rng.normal(100, 20, (120, 12, 10, 3))
    images[:60, :, :5] += 40
    images[60:, :, 5:] += 40
    return images, y


@pytest.mark.parametrize("covariance", ["tied", "class", "relative"])
@pytest.mark.parametrize(("n_blocks", "normalize"), [(1, None), (2, None), (2, "l2")])
def test_the_slope_is_the_derivative_of_the_score(covariance, n_blocks, normalize):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 50)
    X = rng.normal(size=(150, 4)) @ rng.normal(size=(4, 4)) + 6 * np.eye(4)[y]
    options = {"covariance": covariance, "n_blocks": n_blocks, "normalize": normalize}
    detector = ClassConditionalGaussian(**options, fpr=0.1, random_state=0).fit(X, y)
    rows, h = X[::10], 1e-6
    numeric = [detector.score_samples(rows - h * e) - detector.score_samples(rows + h * e) for e in np.eye(4)]
    np.testing.assert_allclose(detector._slope(rows), np.stack(numeric, axis=1) / (2 * h), rtol=1e-4, atol=1e-4)


def test_a_step_is_the_sign_of_the_gradient(net, images):
    X = images[0][:7]
    std = np.array([40.0, 50.0, 60.0])
    pyramid = FeaturePyramid(net, ["3", "1"], mean=100, std=std, batch_size=3)
    weights = [np.array([1.0, -2.0, 0.5]), np.linspace(-1, 1, 5)]
    moved = pyramid.step_down(X, lambda levels: [w + 0 * z for w, z in zip(weights, levels, strict=True)], 2.0)
    assert not any(module._forward_hooks for module in net)
    assert all(module.training for module in net)
    assert all(parameter.grad is None for parameter in net.parameters())
    net.eval()
    x = torch.from_numpy(((X - 100) / std).transpose(0, 3, 1, 2).astype(np.float32)).requires_grad_()
    shallow = net[1](net[0](x))
    value = net[3](net[2](shallow)).mean((2, 3)) @ torch.tensor(weights[0]).float()
    (value + shallow.mean((2, 3)) @ torch.tensor(weights[1]).float()).sum().backward()
    stepped = X - 2.0 * x.grad.sign().numpy().transpose(0, 2, 3, 1)
    for ours, plain in zip(moved, pyramid.transform(stepped), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-4)
    given = pyramid.step_down(x.detach(), lambda levels: [np.zeros_like(z) for z in levels], 2.0)
    np.testing.assert_allclose(given[0], pyramid.transform(X)[0], rtol=1e-4, atol=1e-5)  # no slope, no step


def test_a_slope_may_use_the_pyramid(net, images):
    X = images[0][:4]
    pyramid = FeaturePyramid(net, ["3"], mean=100, std=40, batch_size=2)
    plain = pyramid.step_down(X, _ones, 1.0)
    asking = pyramid.step_down(X, lambda levels: [np.ones_like(pyramid.transform(X[:2])[0])], 1.0)
    np.testing.assert_array_equal(asking[0], plain[0])


def test_layers_before_one_that_writes_in_place_have_their_gradient(images):
    X = images[0][:3]
    writing, plain = (
        torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace), torch.nn.Conv2d(4, 2, 3))
        for inplace in (True, False)
    )
    plain.load_state_dict(writing.state_dict())
    moved = [FeaturePyramid(n, ["0", "2"], mean=100, std=40).step_down(X, _ones, 5.0) for n in (writing, plain)]
    for ours, expected in zip(*moved, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def _ones(levels):
    return [np.ones_like(level) for level in levels]


def test_scores_and_threshold_are_those_of_moved_images(net, images):
    X, y = images
    pyramid = FeaturePyramid(net, ["1", "3"], mean=100, std=50)
    plain = ClassConditionalGaussian(pyramid, fpr=0.1, random_state=0).fit(X, y)
    rows = np.hstack(pyramid.transform(X)).astype(float)
    by_rows = ClassConditionalGaussian(fpr=0.1, random_state=0).fit(rows, y)
    np.testing.assert_allclose(plain.score_samples(X), by_rows.score_samples(rows))
    assert plain.offset_ == pytest.approx(by_rows.offset_)
    stepping = ClassConditionalGaussian(pyramid, fpr=0.1, input_step=0.5, random_state=0).fit(X, y)
    np.testing.assert_array_equal(stepping.means_, plain.means_)  # the model is that of the images as they are
    assert (stepping.score_samples(X) > plain.score_samples(X)).mean() > 0.95
    held_out = stepping._split((y == "right").astype(int))[1]
    scores = np.sort(stepping.score_samples(X[held_out]))
    assert stepping.offset_ == pytest.approx(scores[int(np.floor(37 * 0.1)) - 1])
    noise = np.random.default_rng(1).uniform(0, 255, (20, 12, 10, 3))
    assert (stepping.predict_class(noise) == -1).mean() > 0.8
    alone = np.concatenate([stepping.score_samples(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, stepping.score_samples(X[:5]), rtol=1e-3)


def test_a_step_needs_pixels(images):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    for extractor in (None, FeatureTable()):
        with pytest.raises(ValueError, match=r"input_step=0.1 moves the pixels.*give a FeaturePyramid"):
            ClassConditionalGaussian(extractor, input_step=0.1).fit(rows)


class FeatureTable:
    def transform(self, X):
        return X
