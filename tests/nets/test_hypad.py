"""Backbones, the head, and training against critics."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit.nets.adversarial import Trainee, fit_networks, head_weights  # noqa: E402
from odkit.nets.backbones import BACKBONES  # noqa: E402
from odkit.nets.critic import critic_value  # noqa: E402
from odkit.nets.hypad import Plan, embed, window_errors, windows_of  # noqa: E402
from odkit.nets.poincare import norm  # noqa: E402
from odkit.nets.weights import Weights  # noqa: E402

X = np.sin(np.arange(150) / np.array([[4.0], [7.0]])).T
TRAINING = {"max_train_windows": 64, "batch_size": 32, "learning_rate": 5e-4, "device": "cpu", "seed": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("source", "horizon"), [(20, 20), (9, 10), (1, 1), (2, 3)])
def test_backbones_take_and_give_every_length(backbone, source, horizon):
    net = BACKBONES[backbone](2, source, horizon, 3)
    p = Weights({**net.encoder(), **net.decoder()}, generator())
    latent = net.encode(p, torch.randn(5, 2, source, generator=generator(1)))
    decoded = net.decode(p, latent)
    assert latent.shape == (5, 3)
    assert decoded.shape == (5, 2, horizon)
    assert float(decoded.detach().abs().max()) < 1
    decoded.square().sum().backward()
    assert all(part.any() for name, part in p.gradients.items() if ".wh" not in name)  # one step: no state before


def test_a_recurrent_layer_is_that_of_torch():
    net = BACKBONES["lstm"](2, 6, 6, 3)
    p = Weights({**net.encoder(), **net.decoder()}, generator())
    x = torch.randn(4, 2, 6, generator=generator(1))
    layer = torch.nn.LSTM(8, 64, batch_first=True)
    with torch.no_grad():
        for name, part in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), p.values(), strict=False):
            getattr(layer, name).copy_(part)
        first = torch.cat([torch.zeros(4, 2, 2), x[..., :2]], 2).flatten(1)  # 4 steps at once, the first ones padded
        steps = torch.stack([first, x[..., 2:].flatten(1)], 1)
        expected = layer(steps)[0][:, -1] @ p["encoder1.w"] + p["encoder1.b"]
        torch.testing.assert_close(net.encode(p, x), expected)


def test_windows_are_those_of_the_series():
    windows = windows_of(X, 8, "cpu")
    assert windows.shape == (143, 2, 8)
    np.testing.assert_allclose(windows[5], X[5:13].T, rtol=1e-6)


@pytest.mark.parametrize("head_dim", [4, 16, 40])
def test_the_head_is_orthogonal_and_puts_the_median_target_at_seven_tenths(head_dim):
    plan, windows = Plan(2, 8, head_dim=head_dim), windows_of(X, 8, "cpu")
    head = head_weights(plan, windows, generator())
    gram = head.T @ head if head_dim <= 16 else head @ head.T
    torch.testing.assert_close(gram / gram[0, 0], torch.eye(len(gram)), atol=1e-5, rtol=0)
    assert float((windows.flatten(1) @ head).norm(dim=1).median()) == pytest.approx(0.7, abs=1e-5)
    still = head_weights(plan, torch.zeros_like(windows), generator())
    torch.testing.assert_close(still.norm(dim=0 if head_dim <= 16 else 1), torch.ones(min(head_dim, 16)))
    points = embed(plan, {"head.w": head}, 100 * windows)
    assert float(norm(points).max()) <= np.tanh(2.0) + 1e-6


@pytest.mark.parametrize(("task", "head"), [("reconstruct", "frozen"), ("forecast", "frozen"), ("forecast", "learned")])
def test_the_generator_s_gradient_is_that_of_its_loss(task, head):
    plan = Plan(2, 8, task, "mlp", 3, head, 4)
    network = Trainee(plan, windows_of(X, 8, "cpu"), 143, 0, n_critic=0)
    x = torch.arange(16)[None, :, None]
    with torch.no_grad():
        loss = network.gradients(x)
    written = network.flat.grad.clone()
    with torch.no_grad():
        assert torch.equal(loss, network.loss(x))
        for i in (0, len(network.flat) // 2):
            along = torch.zeros_like(network.flat)
            along[i : i + 50] = torch.sign(written[i : i + 50])
            ends = []
            for step in (1e-3, -2e-3):
                network.flat += step * along
                ends.append(network.loss(x).item())
            network.flat += 1e-3 * along
            if i == 0:  # the last weights may be the head's, whose target does not move in the gradient
                assert (ends[0] - ends[1]) / 2e-3 == pytest.approx(float(written @ along), rel=0.05)


def test_the_adversarial_part_raises_the_critic_s_value():
    plan = Plan(2, 8, latent=3, head_dim=4)
    network = Trainee(
        plan, windows_of(X, 8, "cpu"), 143, 0, lambda_rec=0.0, lambda_mse=0.0, n_critic=1, critic_rate=0.0
    )
    noise = torch.randn(200, 3, generator=generator())

    def value():
        return critic_value(network.critics[0], plan.net.decode(network.p, noise).flatten(1)).mean().item()

    with torch.no_grad():
        before = value()
        for _ in range(10):
            network.gradients(torch.arange(64)[None, :, None])
            network.flat -= 0.01 * network.flat.grad
        assert value() > before


@pytest.mark.parametrize("published", [False, True])
def test_training_lowers_the_loss_and_seeds_are_bits(published):
    plan = Plan(2, 8, backbone="mlp", latent=3, head_dim=4, published=published)
    fits = [fit_networks(plan, X, epochs=15, patience=None, n_critic=1, **TRAINING) for _ in range(2)]
    curve = fits[0][2].loss_curve[:, 0]
    assert curve[-1] < curve[0]
    assert curve.shape == (15,)
    for first, second in zip(fits[0][0].values(), fits[1][0].values(), strict=True):
        np.testing.assert_array_equal(first, second)
    other = fit_networks(plan, X, epochs=15, patience=None, n_critic=1, **{**TRAINING, "seed": 1})
    assert not np.array_equal(fits[0][1]["w1"], other[1]["w1"])


def test_held_out_windows_share_no_step_with_the_rest():
    plan, shown = Plan(2, 8, backbone="mlp", latent=3, head_dim=4), []

    class Spy(Trainee):
        def gradients(self, x):
            shown.append(x.max().item())
            return super().gradients(x)

    import odkit.nets.adversarial as room

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "Trainee", Spy)
        _, _, history = fit_networks(plan, X, epochs=30, patience=2, n_critic=1, **TRAINING)
    assert max(shown) == 143 - 14 - 8
    assert history.validation_curve.shape == history.loss_curve.shape
    assert np.argmin(history.validation_curve) * 2 + 2 == history.best_step[0]  # two batches an epoch


def test_errors_do_not_depend_on_the_chunk(monkeypatch):
    plan = Plan(2, 8, "forecast", latent=3, head_dim=4)
    weights, critic, _ = fit_networks(plan, X, epochs=1, patience=None, n_critic=1, **TRAINING)
    whole = [errors for _, errors in window_errors(plan, weights, critic, X, "cpu")]
    monkeypatch.setattr("odkit.nets.hypad.CHUNK", 10)
    parts = list(window_errors(plan, weights, critic, X, "cpu"))
    assert len(whole) == 1
    assert [rows.start for rows, _ in parts] == list(range(0, 143, 10))
    for name, values in whole[0].items():
        np.testing.assert_allclose(np.concatenate([errors[name] for _, errors in parts]), values, rtol=1e-4, atol=1e-6)
