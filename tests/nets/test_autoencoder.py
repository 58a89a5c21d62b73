"""The network: widths, forward pass, and the written-out gradient against autograd and finite differences."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit.kernels.cpu.reconstruction import apre_terms  # noqa: E402
from odkit.nets.autoencoder import AutoEncoderMembers, encoder_widths, fit_members  # noqa: E402
from odkit.nets.reconstruction import loss_gradient, predict, reconstruction_loss, room  # noqa: E402
from tests import naive  # noqa: E402

heads = pytest.mark.parametrize("two_heads", [False, True], ids=["mean head", "two heads"])


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def members(two_heads=True, seeds=(0, 1, 2), d=5, widths=(4, 2), **kwargs):
    return AutoEncoderMembers(d, widths, two_heads, generators(*seeds), **kwargs)


def rows(n_members=3, n=11, d=5, seed=7, dtype=torch.float32):
    return torch.randn(n_members, n, d, generator=generators(seed)[0], dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(
    ("d", "widths"),
    [
        (1, (1,)), (3, (2,)), (5, (2,)), (7, (4,)), (19, (10,)), (30, (15, 8)), (64, (32, 16)), (100, (50, 25, 12)),
        (200, (100, 50, 12)),
    ],
)  # fmt: skip
def test_the_widths_of_the_paper(d, widths):
    assert encoder_widths(d) == widths


def test_widths_by_hand_and_the_number_of_parameters():
    assert encoder_widths(30, [7, 3]) == (7, 3)
    assert members(seeds=(0,), d=30, widths=encoder_widths(30)).flat.numel() == 1688
    for wrong in ((), (3, 0), (2.5,)):
        with pytest.raises(ValueError, match="integers of at least 1"):
            encoder_widths(30, wrong)


@heads
def test_the_forward_pass_equals_the_loops(two_heads):
    network, x = members(two_heads), rows()
    mean, variance = network(x)
    for e in range(3):
        state = ([part[e].double().numpy() for part in views] for views in (network.weights, network.biases))
        expected = naive.reconstruct(x[e, 0].double().numpy(), *state, two_heads)
        np.testing.assert_allclose(mean[e, 0], expected[0], rtol=1e-4, atol=1e-6)
        if two_heads:
            np.testing.assert_allclose(variance[e, 0], expected[1], rtol=1e-4)


def test_the_forward_pass_equals_stacked_single_networks():
    network, x = members(False, widths=(3,)), rows()
    singles = []
    for e in range(3):
        single = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 5))
        with torch.no_grad():
            for layer, weight, bias in zip(single[::2], network.weights, network.biases, strict=True):
                layer.weight.copy_(weight[e].T)
                layer.bias.copy_(bias[e, 0])
        singles.append(single)
    parameters, buffers = torch.func.stack_module_state(singles)
    expected = torch.func.vmap(lambda p, b, z: torch.func.functional_call(singles[0], (p, b), (z,)))(
        parameters, buffers, x
    )
    torch.testing.assert_close(network(x)[0], expected, rtol=1e-5, atol=1e-6)


@heads
def test_the_gradient_equals_autograd(two_heads):
    network = members(two_heads)
    x = rows(dtype=torch.float64)
    flat = network.flat.double().requires_grad_()
    layers, ours = network.layers(flat), torch.full_like(flat, np.nan)
    loss = reconstruction_loss(x, *predict(x, layers.weights, layers.biases, two_heads))
    loss.sum().backward()
    with torch.no_grad():
        inputs = room(layers, x.shape[1], two_heads)
        for _ in range(2):  # the room is used again
            got = loss_gradient(x, layers, two_heads, network.layers(ours), inputs)
            torch.testing.assert_close(got, loss)
            torch.testing.assert_close(ours, flat.grad, rtol=1e-9, atol=1e-12)
    assert all(float(part.abs().max()) > 0 for views in network.layers(flat.grad)[1:3] for part in views)


@heads
def test_the_gradient_equals_finite_differences(two_heads):
    network, x = members(two_heads, seeds=(3, 4)), rows(2, n=6, dtype=torch.float64)
    flat = network.flat.double()
    gradient = torch.zeros_like(flat)
    layers = network.layers(flat)
    loss_gradient(x, layers, two_heads, network.layers(gradient), room(layers, x.shape[1], two_heads))
    for place in range(flat.numel()):
        sides = []
        for sign in (1, -1):
            moved = flat.clone()
            moved[place] += sign * 1e-6
            layers = network.layers(moved)
            sides.append(reconstruction_loss(x, *predict(x, layers.weights, layers.biases, two_heads)).sum())
        np.testing.assert_allclose((sides[0] - sides[1]) / 2e-6, gradient[place], rtol=1e-5, atol=1e-7)


def test_the_loss_is_the_density_but_for_a_constant():
    x, mean, spread = rows(dtype=torch.float64), rows(seed=8, dtype=torch.float64), rows(seed=9, dtype=torch.float64)
    variance = spread.square() + 0.1
    density = torch.distributions.Normal(mean, variance.sqrt()).log_prob(x).sum(dim=(1, 2))
    expected = (-2 * density - x[0].numel() * np.log(2 * np.pi)) / x.shape[1]
    torch.testing.assert_close(reconstruction_loss(x, mean, variance), expected)
    torch.testing.assert_close(reconstruction_loss(x, mean, torch.ones_like(x)), reconstruction_loss(x, mean, None))


def test_members_own_their_part_of_the_vector_and_do_not_mix():
    network, x = members(), rows()
    network.gradients(x)
    before = network.flat.grad.clone()
    x[1] += 1
    network.gradients(x)
    changed = (network.flat.grad != before).nonzero().ravel()
    assert set(network.owner[changed].tolist()) == {1}
    assert torch.bincount(network.owner).tolist() == [network.flat.numel() // 3] * 3


def test_the_first_members_of_more_are_the_members_of_fewer():
    few, many = members(seeds=(0, 1)), members(seeds=(0, 1, 2, 3))
    for a, b in zip((*few.weights, *few.biases), (*many.weights, *many.biases), strict=True):
        assert torch.equal(a, b[:2])
        assert float(a.abs().max()) <= (5 if a.shape[1] == 1 else a.shape[1]) ** -0.5 or a.shape[1] == 1


def test_parameters_start_within_their_bound():
    network = members(d=16, widths=(9,))
    for weight, bias in zip(network.weights, network.biases, strict=True):
        bound = weight.shape[1] ** -0.5
        assert float(weight.abs().max()) <= bound
        assert float(bias.abs().max()) <= bound
        assert float(weight.abs().max()) > 0.8 * bound


def test_arrays_go_out_and_come_back():
    one, other = members(), members(seeds=(5, 6, 7))
    weights, biases = one.arrays()
    assert not any(array.flags.writeable for array in (*weights, *biases))
    other.load(weights, biases)
    assert torch.equal(one.flat, other.flat)
    with pytest.raises(ValueError, match=r"\(3, 5, 4\).*do not fit.*\(3, 5, 3\)"):
        members(widths=(3,)).load(weights, biases)


@heads
def test_half_precision_products_stay_close(two_heads):
    exact, half = members(two_heads), members(two_heads, product_dtype=torch.bfloat16)
    x = rows()
    torch.testing.assert_close(half.gradients(x), exact.gradients(x), rtol=0.02, atol=0.02)
    difference = (half.flat.grad - exact.flat.grad).norm() / exact.flat.grad.norm()
    assert 0 < float(difference) < 0.05


def test_a_fit_holds_out_rows_that_are_never_trained_on():
    X = np.random.default_rng(0).normal(size=(50, 3))
    settings = {"hidden": "auto", "two_heads": False, "n_members": 2, "start": None, "mixed_precision": False}
    settings |= {"device": "cpu", "max_steps": 2, "check_every": 2}
    weights, biases, history = fit_members(
        X, validation_fraction=0.1, random_state=np.random.RandomState(0), **settings
    )
    assert [w.shape for w in weights] == [(2, 3, 2), (2, 2, 3)]
    assert [b.shape for b in biases] == [(2, 1, 2), (2, 1, 3)]
    assert history.validation_curve.shape == (1, 2)
    assert {array.dtype for array in (*weights, *biases)} == {np.dtype(np.float32)}
    for n in (2, 3):  # one row held out, the rest trained on
        fit_members(X[:n], validation_fraction=0.5, random_state=np.random.RandomState(0), **settings)


def test_the_loss_is_least_where_the_variance_is_the_squared_error():
    """With mu = 0 and a constant variance of N(0, s^2); of alpha e^2 / v + beta log v it is alpha / beta e^2."""
    x = 3 * rows(1, n=4000, d=1, dtype=torch.float64)
    squared = float(x.square().mean())
    assert squared == pytest.approx(9, rel=0.1)
    variance = torch.full((1,), 1.0, dtype=torch.float64, requires_grad=True)
    for v in (0.5 * squared, squared, 2 * squared):
        variance.data.fill_(v)
        (slope,) = torch.autograd.grad(
            reconstruction_loss(x, torch.zeros_like(x), variance.expand_as(x)).sum(), variance
        )
        assert float(slope) == pytest.approx((1 - squared / v) / v, abs=1e-12)
    grid = np.linspace(0.5, 60, 20_000)
    for alpha, beta in ((1.0, 1.0), (0.5, 2.0), (3.0, 0.5)):
        parts = apre_terms(np.full(grid.shape, squared**0.5), np.zeros(grid.shape), grid, alpha, beta, 1e-5)
        assert grid[np.add(*parts).argmin()] == pytest.approx(alpha / beta * squared, abs=5e-3)
