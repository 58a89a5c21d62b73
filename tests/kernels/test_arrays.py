"""The way to a device: rows are looked at every time, fitted state once, and names of devices are checked."""

import gc

import numpy as np
import pytest

from odkit import ECOD, GMM, KNN, Mahalanobis, kernels
from tests.devices import TWINS


def read_only(x):
    x = x.view()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("device", TWINS)
@pytest.mark.parametrize("detector", [ECOD(), GMM(2, random_state=0), KNN(), Mahalanobis(contamination=0.1)], ids=repr)
def test_a_buffer_that_is_refilled_is_looked_at_again(detector, device):
    buffer = np.random.default_rng(0).normal(size=(300, 4))
    rows = read_only(buffer)
    detector.set_params(device=device).fit(rows)
    first = detector.score_samples(rows)
    buffer *= 3
    np.testing.assert_allclose(detector.score_samples(rows), detector.score_samples(buffer.copy()), rtol=1e-12)
    assert not np.allclose(detector.score_samples(rows), first)
    again = detector.fit(rows).score_samples(rows)
    np.testing.assert_allclose(again, detector.fit(buffer.copy()).score_samples(buffer), rtol=1e-9)


@pytest.mark.parametrize("device", TWINS)
def test_state_is_moved_once_and_goes_with_its_array(device):
    k = kernels.on(device)
    gc.collect()
    before = len(k.arrays._copies)
    frozen = np.arange(4.0)
    frozen.flags.writeable = False
    assert k.state(frozen) is k.state(frozen)
    assert k.array(frozen) is not k.array(frozen)
    assert len(k.arrays._copies) == before + 1
    del frozen
    gc.collect()
    assert len(k.arrays._copies) == before


@pytest.mark.parametrize("device", TWINS)
def test_state_that_somebody_can_write_is_moved_every_time(device):
    k, owner = kernels.on(device), np.zeros(3)
    for x in (owner, read_only(owner), read_only(owner)[1:]):
        copy = k.numpy(k.state(x)).copy()
        owner += 1
        np.testing.assert_array_equal(k.numpy(k.state(x)), copy + 1)


@pytest.mark.parametrize("layout", ["Fortran", "reversed", "read-only", "empty"])
@pytest.mark.parametrize("device", TWINS)
def test_any_layout_arrives(device, layout):
    x = np.arange(12.0).reshape(3, 4)
    x = {"Fortran": np.asfortranarray(x), "reversed": x[::-1], "read-only": read_only(x), "empty": x[:0]}[layout]
    k = kernels.on(device)
    np.testing.assert_array_equal(k.numpy(k.array(x)), x)


@pytest.mark.parametrize("name", ["cpu:0", "torch:0", "cuda:x", "cuda:", "cuda:97", "mps:1", "abacus", ""])
def test_a_device_that_is_not_there_is_named(name):
    pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match=rf"device='{name}' is not on this machine; present: cpu, torch"):
        kernels.on(name)


def test_a_number_is_no_device():
    with pytest.raises(TypeError, match="device=0 is no name of a device; give None, 'cpu', 'cuda' or 'cuda:0'"):
        kernels.on(0)
    with pytest.raises(TypeError, match="device=1"):
        ECOD().fit(np.eye(3)).set_params(device=1).score_samples(np.eye(3))
