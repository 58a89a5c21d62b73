"""Packed triangles per position: the plain formula, odd sizes, both backends."""

import numpy as np
import pytest

from odkit import kernels
from odkit.kernels.cpu import patches
from tests.devices import DEVICES, TWINS

SHAPES = [(3, 1, 1), (7, 5, 3), (12, 4, 64), (9, 3, 65), (5, 8, 130)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_and_left_out_distances(shape, dtype):
    n, d, P = shape
    Z = np.random.default_rng(n).normal(size=shape).astype(dtype)
    Z.flags.writeable = False
    fitted = patches.absorb(Z, 0.05)
    squares = patches.packed_triangular_distance(Z, fitted.mean, fitted.packed)
    assert fitted.packed.shape == (-(-P // 64), d * (d + 1) // 2, 64)
    assert fitted.packed.dtype == fitted.mean.dtype == dtype
    for p in {0, P // 2, P - 1}:
        rows = Z[:, :, p].astype(float)
        for i in range(n):
            for keep, found in [(np.arange(n) >= 0, squares), (np.arange(n) != i, fitted.left_out)]:
                z = rows[i] - rows[keep].mean(axis=0)
                covariance = np.atleast_2d(np.cov(rows[keep].T)) + 0.05 * np.eye(d)
                assert found[i, p] == pytest.approx(z @ np.linalg.solve(covariance, z), rel=3e-5)


@pytest.mark.parametrize("shape", [(9, 3, 65), (12, 4, 64)])
def test_blocks_add_up(shape):
    Z = np.random.default_rng(0).normal(5, 1, shape)
    whole = patches.absorb(Z, 0.05)
    first = patches.absorb(Z[:4], 0.05)
    both = patches.absorb(Z[4:], 0.05, 4, first.mean, first.packed)
    np.testing.assert_allclose(both.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(both.packed, whole.packed, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(both.left_out, whole.left_out[4:], rtol=1e-9)


def test_forms_of_input():
    Z = np.random.default_rng(1).normal(size=(6, 3, 70))
    fitted = patches.absorb(Z, 0.05)
    expected = patches.packed_triangular_distance(Z, fitted.mean, fitted.packed)
    frozen = np.asfortranarray(Z)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(patches.packed_triangular_distance(frozen, fitted.mean, fitted.packed), expected)
    np.testing.assert_array_equal(patches.packed_triangular_distance(Z, fitted.mean, fitted.packed, n_jobs=4), expected)
    for threads in (1, 3):
        np.testing.assert_array_equal(patches.absorb(frozen, 0.05, n_jobs=threads).packed, fitted.packed)
    constant = patches.absorb(np.ones((4, 3, 2)), 0.05)
    np.testing.assert_allclose(constant.left_out, 0, atol=1e-20)


@pytest.mark.parametrize(("old", "new"), [(8, 4), (7, 3), (3, 7), (4, 8), (5, 5), (1, 4)])
def test_the_way_to_and_from_the_grid(old, new):
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).normal(size=(2, 3, old, old + 1))
    shape = (new, new + 2)
    plain = torch.from_numpy(maps)
    for axis in (2, 3):
        size = [plain.shape[2], plain.shape[3]]
        size[axis - 2] = shape[axis - 2]
        if size[axis - 2] > plain.shape[axis]:
            plain = torch.nn.functional.interpolate(plain, size=size, mode="nearest")
        else:
            plain = torch.nn.functional.adaptive_avg_pool2d(plain, size)
    np.testing.assert_allclose(patches.resample(maps, shape), plain.numpy(), rtol=1e-12)
    plain = torch.nn.functional.interpolate(torch.from_numpy(maps), size=shape, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(patches.smooth(maps[:, 0], shape, 0.0), plain[:, 0].numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 6), (2, 3), (5, 5)])
def test_levels_on_a_grid(shape):
    """Mixed before or after it is resampled, a level gives the same."""
    rng = np.random.default_rng(0)
    levels = [rng.normal(size=(3, 2, 4, 6)), rng.normal(size=(3, 5, 2, 3)), rng.normal(size=(3, 1, 9, 7))]
    side_by_side = np.concatenate([patches.resample(level, shape) for level in levels], axis=1).reshape(3, 8, -1)
    np.testing.assert_array_equal(patches.embed(levels, None, shape), side_by_side)
    mixture = rng.normal(size=(4, 8))
    np.testing.assert_allclose(patches.embed(levels, mixture, shape), mixture @ side_by_side, rtol=1e-10, atol=1e-12)


def test_a_blur_wider_than_the_map_reflects_again_and_again():
    from scipy import ndimage

    maps = np.random.default_rng(0).normal(size=(2, 5, 3))
    expected = ndimage.gaussian_filter(maps, (0, 4, 4), truncate=4, mode="reflect")
    np.testing.assert_allclose(patches.smooth(maps, (5, 3), 4.0), expected, rtol=1e-9)


@pytest.mark.parametrize("device", TWINS)
def test_the_torch_twins_give_the_same_numbers(device):
    k = kernels.on(device)
    Z = np.random.default_rng(2).normal(size=(9, 4, 70))
    cpu = patches.absorb(Z[:5], 0.05)
    gpu = k.patches.absorb(k.array(Z[:5]), 0.05)
    for one, other in zip(cpu, gpu, strict=True):
        np.testing.assert_allclose(k.numpy(other), one, rtol=1e-9, atol=1e-12)
    more = patches.absorb(Z[5:], 0.05, 5, cpu.mean, cpu.packed)
    twin = k.patches.absorb(k.array(Z[5:]), 0.05, 5, gpu.mean, gpu.packed)
    for one, other in zip(more, twin, strict=True):
        np.testing.assert_allclose(k.numpy(other), one, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        k.numpy(k.patches.packed_triangular_distance(k.array(Z), twin.mean, twin.packed)),
        patches.packed_triangular_distance(Z, more.mean, more.packed),
        rtol=1e-9,
    )
    maps = np.random.default_rng(3).normal(size=(2, 3, 6, 7))
    levels = [maps, maps[:, :, ::2, ::2]]
    for mixture in (None, np.random.default_rng(4).normal(size=(2, 6))):
        given = None if mixture is None else k.array(mixture)
        np.testing.assert_allclose(
            k.numpy(k.patches.embed([k.array(level) for level in levels], given, (3, 4))),
            patches.embed(levels, mixture, (3, 4)),
            rtol=1e-9,
            atol=1e-12,
        )
    np.testing.assert_allclose(k.numpy(k.patches.resample(k.array(maps), (3, 9))), patches.resample(maps, (3, 9)))
    np.testing.assert_allclose(
        k.numpy(k.patches.smooth(k.array(maps[0]), (9, 9), 1.0)), patches.smooth(maps[0], (9, 9), 1.0), rtol=1e-9
    )
    np.testing.assert_allclose(
        k.numpy(k.pixels.top_mean(k.array(maps[0]), 0.3)), kernels.on("cpu").pixels.top_mean(maps[0], 0.3)
    )


@pytest.mark.parametrize("backend", DEVICES)
def test_factors_lie_packed_64_positions_to_a_block(backend):
    k = kernels.on(backend)
    Z = np.random.default_rng(0).normal(size=(6, 3, 70))
    fitted = k.patches.absorb(k.array(Z), 0.05, left_out=False)
    packed = k.numpy(fitted.packed)
    assert fitted.left_out.shape == (0, 70)
    rows, columns = np.tril_indices(3)
    for p in range(70):
        factor = np.linalg.cholesky(np.cov(Z[:, :, p].T) + 0.05 * np.eye(3))
        np.testing.assert_allclose(packed[p // 64, :, p % 64], factor[rows, columns], rtol=1e-12)
    np.testing.assert_array_equal(packed[1, :, 6:], np.repeat((rows == columns)[:, None], 58, axis=1))


def test_ill_conditioned_positions_keep_the_accuracy_of_their_dtype():
    """Fewer images than numbers, one direction a million times the ridge: products in float32 would lose it."""
    rng = np.random.default_rng(0)
    Z = (rng.normal(size=(12, 1, 66)) * 100 + rng.normal(size=(12, 20, 66))).astype(np.float32)
    fitted = patches.absorb(Z, 0.01)
    squares = patches.packed_triangular_distance(Z, fitted.mean, fitted.packed)
    rows, columns = np.tril_indices(20)
    for p in (0, 63, 65):
        z = Z[:, :, p].astype(float)
        covariance = np.cov(z.T) + 0.01 * np.eye(20)
        np.testing.assert_allclose(
            fitted.packed[p // 64, :, p % 64], np.linalg.cholesky(covariance)[rows, columns], rtol=1e-6, atol=1e-7
        )
        z -= z.mean(axis=0)
        np.testing.assert_allclose(squares[:, p], np.einsum("ni,ij,nj->n", z, np.linalg.inv(covariance), z), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_gives_the_bits_of_its_images_alone(dtype):
    Z = np.random.default_rng(3).normal(size=(37, 21, 70)).astype(dtype)
    fitted = patches.absorb(Z, 0.05)
    together = patches.packed_triangular_distance(Z, fitted.mean, fitted.packed)
    for i in (0, 15, 16, 36):
        alone = patches.packed_triangular_distance(Z[i : i + 1], fitted.mean, fitted.packed)
        np.testing.assert_array_equal(alone[0], together[i])
