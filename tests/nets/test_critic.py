"""The critic's written-out gradient against autograd, and the gradient penalty's closed form."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit.nets import critic as room  # noqa: E402
from odkit.nets.critic import critic_gradient, critic_shapes, critic_value, input_gradient  # noqa: E402
from odkit.nets.weights import Weights, tensors  # noqa: E402


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n, seed):
    return torch.randn(n, 7, generator=generator(seed))


@pytest.mark.parametrize("joint_norm", [False, True])
def test_the_gradient_is_that_of_autograd(joint_norm):
    p, real, fake = Weights(critic_shapes(7), generator()), rows(11, 1), rows(11, 2)
    with torch.no_grad():
        loss = critic_gradient(p, p.gradients, real, fake, generator(5), joint_norm=joint_norm)
    written = p.flat.grad.clone()
    weight = torch.rand((11, 7) if joint_norm else (11, 1), generator=generator(5))
    mixed = (weight * real + (1 - weight) * fake).requires_grad_()
    slope = torch.autograd.grad(critic_value(p, mixed).sum(), mixed, create_graph=True)[0]
    length = slope.norm() if joint_norm else slope.norm(dim=1)
    expected = critic_value(p, fake).mean() - critic_value(p, real).mean() + 10 * (length - 1).square().mean()
    p.flat.grad.zero_()
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(written, p.flat.grad, rtol=1e-4, atol=1e-6)


def test_the_slope_at_rows():
    p, x = Weights(critic_shapes(7), generator()), rows(5, 3).requires_grad_()
    expected = torch.autograd.grad(critic_value(p, x).sum(), x)[0]
    torch.testing.assert_close(input_gradient(p, x.detach()).detach(), expected)


@pytest.mark.parametrize("n", [1, 2, 64])
def test_the_penalty_of_a_linear_critic_does_not_depend_on_the_batch(n, monkeypatch):
    monkeypatch.setattr(room, "LEAK", 1.0)
    p = Weights(critic_shapes(7), generator())
    linear = (p["w1"] @ p["w2"] @ p["w3"]).detach()
    x = rows(n, 1)
    with torch.no_grad():  # equal rows: the two means cancel and the penalty is left
        loss = float(critic_gradient(p, p.gradients, x, x, generator()))
    assert loss == pytest.approx(10 * (float(linear.norm()) - 1) ** 2, rel=1e-5)


def test_a_trained_critic_tells_the_two_apart():
    from odkit.nets.training import Adam

    p, real, fake = Weights(critic_shapes(7), generator()), rows(200, 1) + 1, rows(200, 2) - 1
    adam = Adam(p.flat, 0.5, 0.9)
    with torch.no_grad():
        for step in range(1, 101):
            critic_gradient(p, p.gradients, real, fake, generator(step))
            adam.step(step, 1e-2)
        assert (critic_value(p, real)[:, None] > critic_value(p, fake)).float().mean() > 0.95


def test_weights_go_to_arrays_and_back():
    p = Weights(critic_shapes(7), generator())
    arrays = p.arrays()
    assert all(array.dtype == np.float32 and not array.flags.writeable for array in arrays.values())
    assert torch.equal(torch.cat([part.flatten() for part in tensors(arrays).values()]), p.flat)
    with torch.no_grad():
        p.flat.zero_()
    assert not p["w1"].any()
    assert arrays["w1"].any()
