"""PatchGaussian: a Gaussian per position against the plain formulas, thresholds that keep their promise, bad input."""

import copy
import pickle

import numpy as np
import pytest
from scipy import ndimage
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from odkit import model_file
from odkit.images.patch_gaussian import PatchGaussian


@pytest.fixture
def levels():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(5, 5))
    return [
        np.einsum("cd,ndhw->nchw", mix, rng.normal(size=(130, 5, 6, 4))).astype(np.float32),
        rng.normal(2, 3, (130, 3, 3, 2)).astype(np.float32),
    ]


def part(levels, rows):
    return [level[rows] for level in levels]


def test_maps_are_distances_per_position(levels):
    detector = PatchGaussian(sigma=0, eps=0.1).fit(levels)
    maps = detector.anomaly_map(part(levels, slice(0, 9)))
    assert maps.shape == (9, 6, 4)
    assert maps.dtype == np.float32
    both = np.concatenate([levels[0], levels[1].repeat(2, axis=2).repeat(2, axis=3)], axis=1).astype(float)
    for y, x in [(0, 0), (5, 3), (2, 1)]:
        rows = both[:, :, y, x]
        precision = np.linalg.inv(np.cov(rows.T) + 0.1 * np.eye(8))
        z = rows[:9] - rows.mean(axis=0)
        np.testing.assert_allclose(maps[:, y, x], np.sqrt(np.einsum("ni,ij,nj->n", z, precision, z)), rtol=1e-4)


def test_thresholds_are_read_from_maps_that_left_their_image_out(levels):
    few = part(levels, slice(0, 12))
    detector = PatchGaussian(sigma=1.0, fpr=0.25).fit(few)
    left_out = []
    for i in range(12):
        others = np.arange(12) != i
        left_out.append(PatchGaussian(sigma=1.0, fpr=0.25).fit(part(few, others)).anomaly_map(part(few, ~others))[0])
    left_out = np.array(left_out)
    image_scores = np.sort(left_out.max(axis=(1, 2)))
    assert -detector.offset_ == pytest.approx(image_scores[int(np.ceil(13 * 0.75)) - 1], rel=1e-4)
    pixels = np.sort(left_out.ravel())
    assert detector.pixel_threshold_ == pytest.approx(pixels[int(np.ceil((pixels.size + 1) * 0.75)) - 1], rel=1e-4)


def test_the_promised_share_of_normal_images_is_flagged():
    rng = np.random.default_rng(1)
    flagged, marked = [], []
    for _ in range(10):
        train, test = [rng.normal(size=(60, 20, 3, 3))], [rng.normal(size=(200, 20, 3, 3))]
        detector = PatchGaussian(sigma=0.5, fpr=0.1).fit(train)
        flagged.append((detector.predict(test) == -1).mean())
        marked.append(detector.mask(test).mean())
    assert 0.05 < np.mean(flagged) < 0.14
    assert 0.08 < np.mean(marked) < 0.12


def test_blocks_add_up(levels):
    whole = PatchGaussian(sigma=1.0, fpr=0.1).fit(levels)
    blocks = PatchGaussian(sigma=1.0, fpr=0.1)
    for rows in (slice(0, 50), slice(50, 80), slice(80, 130)):
        blocks.partial_fit(part(levels, rows))
    np.testing.assert_allclose(blocks.anomaly_map(levels), whole.anomaly_map(levels), rtol=1e-4)
    assert blocks.n_samples_seen_ == 130
    assert blocks.offset_ == pytest.approx(whole.offset_, rel=0.2)  # of the last block only


def test_laws(levels):
    detector = PatchGaussian(fpr=0.1).fit(levels)
    few = part(levels, slice(3, 8))
    scores = detector.score_samples(few)
    state = pickle.dumps(detector.__dict__)
    np.testing.assert_array_equal(scores, -detector.anomaly_map(few).max(axis=(1, 2)))
    alone = [detector.score_samples(part(few, slice(i, i + 1)))[0] for i in range(5)]
    np.testing.assert_allclose(alone, scores, rtol=1e-6)
    assert pickle.dumps(detector.__dict__) == state
    np.testing.assert_array_equal(detector.fit(levels).score_samples(few), scores)
    np.testing.assert_array_equal(clone(detector).fit(levels).score_samples(few), scores)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(few), scores)
    np.testing.assert_array_equal(PatchGaussian(fpr=0.1, n_jobs=2, batch_size=3).fit(levels).score_samples(few), scores)
    np.testing.assert_array_equal(detector.decision_function(few), scores - detector.offset_)
    planted = [level.copy() for level in few]
    planted[0][2, :, 3, 1] += 30
    assert np.argmin(detector.score_samples(planted)) == 2
    sharp = PatchGaussian(sigma=0).fit(levels).anomaly_map(planted)[2]
    assert np.unravel_index(sharp.argmax(), (6, 4)) == (3, 1)


def test_image_scores(levels):
    maps = PatchGaussian(sigma=0).fit(levels).anomaly_map(levels)
    for rule, expected in [
        ("mean", maps.mean(axis=(1, 2))),
        (("top", 0.25), np.sort(maps.reshape(130, -1))[:, -6:].mean(axis=1)),
        (("top", 0.001), maps.max(axis=(1, 2))),
    ]:
        detector = PatchGaussian(sigma=0, image_score=rule).fit(levels)
        np.testing.assert_allclose(-detector.score_samples(levels), expected, rtol=1e-5)


def test_grids_and_sizes(levels):
    detector = PatchGaussian(n_channels=4, grid=1, output_size=(12, 8)).fit(levels)
    assert detector.grid_ == (3, 2)
    assert detector.location_.shape == (4, 6)
    assert detector.anomaly_map(levels).shape == (130, 12, 8)
    assert PatchGaussian(grid=(2, 2)).fit(levels).grid_ == (2, 2)


def test_mixtures_are_of_the_channels_side_by_side(levels):
    detector = PatchGaussian(n_channels=4, sigma=0, random_state=3).fit(levels)
    np.testing.assert_allclose(detector.mixture_ @ detector.mixture_.T, np.eye(4), atol=1e-6)
    both = np.concatenate([levels[0], levels[1].repeat(2, axis=2).repeat(2, axis=3)], axis=1)
    mixed = np.einsum("kc,nchw->nkhw", detector.mixture_, both)
    by_hand = PatchGaussian(sigma=0).fit([mixed])
    np.testing.assert_allclose(by_hand.anomaly_map([mixed]), detector.anomaly_map(levels), rtol=1e-3)
    other = PatchGaussian(n_channels=4, random_state=4).fit(levels)
    assert not np.allclose(other.mixture_, detector.mixture_)
    for n_channels in (None, 8, 100):
        assert PatchGaussian(n_channels=n_channels).fit(levels).mixture_ is None


def test_the_blur_is_the_plain_one(levels):
    sharp, soft = (PatchGaussian(sigma=sigma, output_size=(24, 16)).fit(levels) for sigma in (0, 1.5))
    maps = sharp.anomaly_map(part(levels, slice(0, 3)))
    expected = ndimage.gaussian_filter(maps.astype(float), (0, 1.5, 1.5), truncate=4, mode="reflect")
    np.testing.assert_allclose(soft.anomaly_map(part(levels, slice(0, 3))), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({}, lambda levels: part(levels, slice(0, 2)), "2 images are too few"),
        ({}, lambda levels: levels[0], "list of levels"),
        ({}, lambda levels: [levels[0], levels[1][:9]], "levels have 130, 9 images"),
        ({}, lambda levels: [], "list of levels"),
        ({}, lambda levels: [np.where(levels[0] > 3, np.nan, levels[0])], "features of images 0, .* NaN"),
        ({}, lambda levels: [levels[0].astype(float) * 1e60], "features of images 0, .* infinite in float32"),
        ({"grid": 2}, lambda levels: levels, "grid=2 is no level; there are 2"),
        ({"grid": (2,)}, lambda levels: levels, r"grid=\(2,\) is no pair"),
        ({"grid": (0, 2)}, lambda levels: levels, r"grid=\(0, 2\) is no pair"),
        ({"grid": (2.7, 2)}, lambda levels: levels, r"grid=\(2.7, 2\) is no pair"),
        ({"output_size": (3,)}, lambda levels: levels, r"output_size=\(3,\) is no pair"),
        ({"fpr": 0.1}, lambda levels: [1e7 * np.random.default_rng(0).normal(size=(40, 120, 1, 1))], "not finite"),
        ({"eps": 1e-20}, lambda levels: [np.repeat(levels[0][:, :1], 30, axis=1)], "not finite.*raise eps"),
        ({"image_score": ("top", 2.0)}, lambda levels: levels, "image_score: .* is no rule"),
        ({"eps": 0.0}, lambda levels: levels, "eps"),
    ],
)
def test_hostile_input_is_named(levels, options, given, message):
    with pytest.raises(ValueError, match=message):
        PatchGaussian(**options).fit(given(levels))


def test_images_that_are_not_finite_have_their_number_in_the_input(levels):
    detector = PatchGaussian(fpr=0.1).fit(levels)
    spoiled = [level.copy() for level in levels]
    spoiled[0][[40, 99], 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="features of images 40, counted from 0"):
        detector.score_samples(spoiled)


@pytest.mark.parametrize("given", [(2, 5, 30, 40), (9, 5, 1, 1)])
@pytest.mark.filterwarnings("ignore:.*too few for a threshold")
def test_a_fit_that_fails_leaves_no_model(levels, given):
    detector = PatchGaussian(fpr=0.1, sigma=1).fit(levels)
    other = [np.zeros(given)]
    other[0][-1] = np.inf if given[0] > 2 else 1.0
    with pytest.raises(ValueError, match=r"too few for a covariance|infinite"):
        detector.fit(other)
    for use in (detector.score_samples, detector.mask):
        with pytest.raises(NotFittedError):
            use(other)
    assert detector.partial_fit(levels).n_samples_seen_ == 130


def test_a_block_that_fails_changes_nothing(levels):
    detector = PatchGaussian(fpr=0.1, sigma=1).fit(levels)
    state = pickle.dumps(detector.__dict__)
    for bad, message in [([levels[0][:3], levels[1][:3] * np.inf], "NaN"), ([levels[0], levels[0]], "were fitted")]:
        with pytest.raises(ValueError, match=message):
            detector.partial_fit(bad)
    with pytest.raises(UserWarning, match="too few"):  # a warning that is an error comes before the model changes
        detector.partial_fit(part(levels, slice(0, 1)))
    assert pickle.dumps(detector.__dict__) == state


@pytest.mark.parametrize(
    "change", [{"eps": 1.0}, {"n_channels": 3}, {"grid": (2, 2)}, {"output_size": (9, 9)}, {"random_state": 5}], ids=str
)
def test_learning_on_refuses_what_was_changed(levels, change, tmp_path):
    detector = PatchGaussian(fpr=0.1).partial_fit(levels)
    model_file.save(detector, tmp_path / "a.odkit")
    for one in (detector, model_file.load(tmp_path / "a.odkit")):
        one.set_params(**change)
        with pytest.raises(ValueError, match=f"{next(iter(change))} was .* set it back, or start afresh with fit"):
            one.partial_fit(levels)
        assert one.fit(levels).n_samples_seen_ == 130


def test_another_size_than_the_fitted_one_is_an_error(levels):
    detector = PatchGaussian().fit(levels)
    with pytest.raises(ValueError, match="give images of the size that was fitted"):
        detector.score_samples([levels[0][:, :, :5], levels[1]])


def test_few_images_warn(levels):
    with pytest.warns(UserWarning, match="20 images are too few for a threshold at fpr=0.01, which needs 99"):
        PatchGaussian().fit(part(levels, slice(0, 20)))


def test_images_through_a_network(tmp_path):
    torch = pytest.importorskip("torch")
    from odkit.images.features import FeaturePyramid

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3, 2, 1))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    rng = np.random.default_rng(0)
    images = rng.normal(100, 10, (60, 24, 32))
    pyramid = FeaturePyramid(net, ["1", "2"], pool=None, mean=100, std=20)
    detector = PatchGaussian(pyramid, fpr=0.1, sigma=2).fit(images)
    test = images[:5].copy()
    test[3, 10:16, 20:26] += 80
    maps = detector.anomaly_map(test)
    assert maps.shape == (5, 24, 32)
    assert np.argmin(detector.score_samples(test)) == 3
    y, x = np.unravel_index(maps[3].argmax(), maps[3].shape)
    assert 6 <= y <= 19
    assert 16 <= x <= 29
    with pytest.raises(ValueError, match="set its pool to None"):
        PatchGaussian(FeaturePyramid(net, ["1"])).fit(images)
    by_levels = PatchGaussian(fpr=0.1, sigma=2, output_size=(24, 32)).fit(pyramid.transform(images))
    np.testing.assert_allclose(by_levels.anomaly_map(pyramid.transform(test)), maps, rtol=1e-3)
    with pytest.raises(model_file.ModelFileError, match=r"model.extractor is a .*set_params\(extractor=None\)"):
        model_file.save(detector, tmp_path / "a.odkit")
    model_file.save(copy.copy(detector).set_params(extractor=None), tmp_path / "a.odkit")
    np.testing.assert_array_equal(model_file.load(tmp_path / "a.odkit").anomaly_map(pyramid.transform(test)), maps)
