"""The ball: closed forms, identities, gradients where they are delicate, geoopt as a second opinion."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit.nets.poincare import arcosh_distance, clip_norm, distance, exp0, mobius_add, norm  # noqa: E402

U, V = torch.tensor([0.3, 0.4], dtype=torch.float64), torch.tensor([-0.2, 0.5], dtype=torch.float64)


@pytest.fixture(scope="module")
def points():
    generator = torch.Generator().manual_seed(0)
    return exp0(torch.randn(3, 20, 5, generator=generator, dtype=torch.float64))


def test_closed_forms():
    np.testing.assert_allclose(exp0(U), [0.277270, 0.369694], atol=1e-6)
    np.testing.assert_allclose(mobius_add(U, V), [0.237338, 0.741590], atol=1e-6)
    assert float(distance(U, V)) == pytest.approx(1.303298, abs=1e-6)
    assert float(distance(torch.zeros(2, dtype=torch.float64), U)) == pytest.approx(np.log(3), abs=1e-9)


def test_identities(points):
    x, y, z = points
    zero = torch.zeros_like(x)
    torch.testing.assert_close(mobius_add(x, zero), x)
    torch.testing.assert_close(mobius_add(zero, y), y)
    torch.testing.assert_close(mobius_add(-x, mobius_add(x, y)), y)  # left cancellation
    torch.testing.assert_close(distance(x, y), distance(y, x))
    torch.testing.assert_close(distance(x, y), 2 * torch.atanh(norm(mobius_add(-x, y))[..., 0]), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(distance(mobius_add(z, x), mobius_add(z, y)), distance(x, y), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(distance(x, y), arcosh_distance(x, y), rtol=1e-5, atol=1e-5)
    assert (distance(x, z) <= distance(x, y) + distance(y, z)).all()
    # the exponential map keeps twice the length: d(0, exp0(u)) = 2 |u|
    torch.testing.assert_close(distance(zero, exp0(x)), 2 * norm(x)[..., 0], rtol=1e-6, atol=1e-6)


def test_near_points_keep_their_distance_in_float32():
    u = torch.tensor([[0.5, 0.0]]).repeat(50, 1)
    v = u + torch.linspace(1e-5, 1e-3, 50)[:, None]
    exact = distance(u.double(), v.double())
    assert float((distance(u, v) / exact - 1).abs().max()) < 1e-3
    assert len(torch.unique(distance(u, v))) == 50 > len(torch.unique(arcosh_distance(u, v)))


def test_clipping_shortens_only_what_is_long():
    x = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(clip_norm(x, 2.0), torch.tensor([[1.2, 1.6], [0.3, 0.4], [0.0, 0.0]]))


@pytest.mark.parametrize("length", [0.0, 0.5, 0.999, 5.0])
def test_gradients_are_finite_at_equal_points_at_the_origin_and_at_the_rim(length):
    u = torch.tensor([length, 0.0], requires_grad=True)
    for target in (torch.zeros(2), exp0(u.detach()), torch.tensor([0.999, 0.0])):
        u.grad = None
        distance(exp0(clip_norm(u, 2.0)), target).backward()
        assert torch.isfinite(u.grad).all()


def test_against_geoopt(points):
    geoopt = pytest.importorskip("geoopt")
    ball, (x, y, _) = geoopt.PoincareBall(c=1.0), points
    torch.testing.assert_close(distance(x, y), ball.dist(x, y), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mobius_add(x, y), ball.mobius_add(x, y), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(exp0(3 * x), ball.expmap0(3 * x), rtol=1e-6, atol=1e-6)
