"""SparseWaferEncoder: it learns, repeats itself, ignores duplicates and order, and names bad coordinates."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

pytest.importorskip("torch")

from odkit import LatentGMM, SparseWaferEncoder
from odkit.datasets import make_wafer_maps


@pytest.fixture(scope="module")
def wafers():
    return make_wafer_maps(24, patterns=["none", "center", "edge_ring"], size=64)


@pytest.fixture(scope="module")
def encoder(wafers):
    return SparseWaferEncoder(
        channels=(8, 16), pools=(4, 4), latent=16, size=64, epochs=8, batch_size=8, random_state=0
    ).fit(*wafers)


def test_it_learns(wafers, encoder):
    test, truth = make_wafer_maps(20, patterns=["none", "center", "edge_ring"], size=64, random_state=1)
    assert (encoder.predict_class(test) == truth).mean() > 0.9
    assert encoder.loss_curve_.shape == (8,)
    assert encoder.loss_curve_[-1] < encoder.loss_curve_[0]
    assert encoder.transform(test).shape == (60, 16)
    np.testing.assert_array_equal(encoder.classes_[encoder.logits(test).argmax(axis=1)], encoder.predict_class(test))


def test_laws(wafers, encoder):
    maps, patterns = wafers
    latents = encoder.transform(maps)
    np.testing.assert_array_equal(clone(encoder).fit(maps, patterns).transform(maps), latents)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(maps), latents)
    alone = np.concatenate([encoder.transform([wafer]) for wafer in maps[:5]])
    np.testing.assert_allclose(alone, latents[:5], rtol=1e-4, atol=1e-6)
    other = clone(encoder).set_params(random_state=1).fit(maps, patterns)
    assert not np.allclose(other.transform(maps), latents)


def test_the_global_generator_is_left_alone(wafers, encoder):
    import torch

    state = torch.random.get_rng_state()
    encoder.transform(wafers.maps[:3])
    clone(encoder).set_params(epochs=1).fit(*wafers)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_fit_that_fails_leaves_no_model(wafers, encoder):
    fitted = pickle.loads(pickle.dumps(encoder))
    with pytest.raises(ValueError, match="one pattern only"):
        fitted.fit(wafers.maps, ["new"] * len(wafers.maps))
    with pytest.raises(NotFittedError):
        fitted.predict_class(wafers.maps)


def test_order_and_duplicates_do_not_matter(wafers, encoder):
    maps = wafers.maps[:6]
    rng = np.random.default_rng(0)
    shuffled = [np.concatenate([wafer, wafer[:5]])[rng.permutation(len(wafer) + 5)].tolist() for wafer in maps]
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(maps))
    assert not encoder.transform([np.empty((0, 2), int)]).any()
    np.testing.assert_array_equal(encoder.transform([[]]), encoder.transform([np.empty((0, 2), int)]))


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([[[0, 64]]], "map 0 has coordinates from 0 to 64; 0 to 63"),
        ([[[1, 1]], [[-1, 3]]], "map 1 has coordinates from -1"),
        ([[[0.5, 1.0]]], "dtype float64"),
        ([[1, 2, 3]], "shape"),
        ([], "no map"),
        (np.zeros((4, 2), int), "sequence of maps"),
    ],
)
def test_hostile_maps_are_named(encoder, maps, message):
    with pytest.raises(ValueError, match=message):
        encoder.transform(maps)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({}, ["a"] * 3, "72 maps were given with 3 patterns"),
        ({}, ["a"] * 72, "one pattern only"),
        ({"pools": (4,)}, None, "as many of both"),
        ({"channels": (4, 0), "pools": (2, 2)}, None, "all positive"),
        ({"channels": (4,), "pools": (2.5,)}, None, "all positive whole numbers"),
        ({"channels": ("4",), "pools": (2,)}, None, "all positive whole numbers"),
        ({"epochs": 0}, None, "epochs"),
        ({}, np.r_[np.zeros(36), np.full(36, np.nan)], "labels y with nan, which is no class"),
        ({}, ["a"] * 36 + [None] * 36, "labels y of kinds NoneType, str"),
    ],
)
def test_hostile_training_is_named(wafers, options, y, message):
    with pytest.raises(ValueError, match=message):
        SparseWaferEncoder(size=64, **options).fit(wafers.maps, wafers.patterns if y is None else y)


def test_unknown_patterns_are_rejected(wafers):
    """The mixture trains a clone of the encoder without the wafers that its threshold is read from."""
    maps, patterns = make_wafer_maps(60, patterns=["none", "center", "edge_ring"], size=64, random_state=3)
    encoder = SparseWaferEncoder(channels=(8, 16), pools=(4, 4), latent=16, size=64, epochs=8, batch_size=8)
    detector = LatentGMM(encoder, fpr=0.05, reject_label="new", random_state=0).fit(maps, patterns)
    assert not hasattr(encoder, "state_")
    new = make_wafer_maps(20, patterns=["near_full"], size=64).maps
    found = detector.predict_class(new)
    assert (found == "new").mean() > 0.9
    known, truth = make_wafer_maps(30, patterns=["none", "center", "edge_ring"], size=64, random_state=4)
    found = detector.predict_class(known)
    assert (found == "new").mean() < 0.25
    assert (found[found != "new"] == truth[found != "new"]).mean() > 0.9
