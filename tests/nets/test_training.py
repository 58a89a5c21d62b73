"""The training loop: batches, seeds, members, early stopping, divergence."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.exceptions import ConvergenceWarning  # noqa: E402

from odkit.nets.autoencoder import AutoEncoderMembers  # noqa: E402
from odkit.nets.training import train  # noqa: E402


def generators(seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def trained(X, seeds=(0,), *, two_heads=True, held_out=None, **kwargs):
    own = generators(seeds)
    network = AutoEncoderMembers(X.shape[1], (3,), two_heads, own)
    history = train(network, X, own, held_out=held_out, **{"max_steps": 60, "check_every": 20, **kwargs})
    return network, history


@pytest.fixture(scope="module")
def X():
    return torch.randn(130, 4, generator=generators([0])[0])


class Recorder:
    """Stands for a network: notes which rows it is given."""

    def __init__(self, n_members):
        self.n_members, self.flat, self.owner, self.seen = (
            n_members,
            torch.zeros(n_members),
            torch.arange(n_members),
            [],
        )
        self.flat.grad = torch.zeros(n_members)

    def gradients(self, x):
        self.seen.append(x[..., 0].long())
        return x.mean(dim=(1, 2))


@pytest.mark.parametrize(
    ("n", "batch", "sizes"),
    [
        (257, 256, [129, 128]),
        (129, 128, [65, 64]),
        (513, 256, [171] * 3),
        (5, 256, [5]),
        (5, None, [5]),
        (3, 1, [1] * 3),
        (256, 256, [256]),
    ],
)
def test_an_epoch_gives_every_row_once_in_nearly_equal_batches(n, batch, sizes):
    network = Recorder(2)
    train(network, torch.arange(float(n))[:, None], generators([0, 1]), max_steps=2 * len(sizes), batch_size=batch)
    assert [x.shape[1] for x in network.seen] == sizes * 2
    for epoch in (network.seen[: len(sizes)], network.seen[len(sizes) :]):
        for member in range(2):
            assert sorted(torch.cat([x[member] for x in epoch]).tolist()) == list(range(n))
    if n > 5:
        assert not torch.equal(network.seen[0][0], network.seen[0][1])  # each member its own order
        assert not torch.equal(network.seen[0][0], network.seen[len(sizes)][0])  # and anew in each epoch


def test_batched_members_are_single_trainings(X):
    together, history = trained(X, (3, 4, 5), batch_size=32, max_steps=300)
    for e, seed in enumerate((3, 4, 5)):
        alone, own = trained(X, (seed,), batch_size=32, max_steps=300)
        for a, b in zip((*alone.weights, *alone.biases), (*together.weights, *together.biases), strict=True):
            torch.testing.assert_close(a[0], b[e], rtol=0, atol=1e-6)
        np.testing.assert_allclose(own.loss_curve[:, 0], history.loss_curve[:, e], rtol=1e-5)


def test_seeds_reproduce_bits_and_nothing_global_is_touched(X):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    one, _ = trained(X, (7, 8), batch_size=16)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.get_num_threads() == before[2]
    torch.manual_seed(2)
    other, _ = trained(X, (7, 8), batch_size=16)
    assert torch.equal(one.flat, other.flat)
    assert not torch.equal(trained(X, (7, 9), batch_size=16)[0].flat, one.flat)


def test_the_loss_falls_and_the_weights_move(X):
    start = AutoEncoderMembers(4, (3,), True, generators([0])).flat
    network, history = trained(X, batch_size=32, max_steps=400)
    assert history.loss_curve.shape == (20, 1)
    assert history.loss_curve[-1, 0] < history.loss_curve[0, 0] - 0.5
    assert float((network.flat - start).abs().mean()) > 0.05
    assert history.n_steps == 400
    assert history.validation_curve is None
    assert history.best_step is None


def test_the_records_are_means_of_the_losses_since_the_last(X):
    _, each = trained(X, batch_size=32, max_steps=25, check_every=1)
    _, some = trained(X, batch_size=32, max_steps=25, check_every=10)
    expected = [each.loss_curve[:10].mean(), each.loss_curve[10:20].mean(), each.loss_curve[20:].mean()]
    np.testing.assert_allclose(some.loss_curve[:, 0], expected, rtol=1e-5)


def test_progress_is_reported_at_every_record(X):
    calls = []
    _, history = trained(X, (0, 1), max_steps=45, progress=lambda step, loss: calls.append((step, loss)))
    assert [step for step, _ in calls] == [20, 40, 45]
    np.testing.assert_array_equal([loss for _, loss in calls], history.loss_curve)


def test_adam_with_halving_steps(X):
    """The loop against torch's plain Adam and autograd, written out."""
    network, _ = trained(X, (2,), batch_size=None, max_steps=30, lr_step=10, learning_rate=0.01)
    plain = AutoEncoderMembers(4, (3,), True, generators([2]))
    plain.flat.requires_grad_()
    _, plain.weights, plain.biases, _ = plain.layers(plain.flat)
    optimizer = torch.optim.Adam([plain.flat], lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)
    for _ in range(30):
        optimizer.zero_grad()
        plain.loss(X[None]).sum().backward()
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(network.flat, plain.flat.detach(), rtol=1e-4, atol=1e-5)


def test_early_stopping_keeps_each_members_best_copy(X):
    few = X[:8]  # to be overfitted
    network, history = trained(
        few, (0, 1, 2), held_out=X[8:], max_steps=3000, check_every=10, patience=3, learning_rate=0.02
    )
    curve = history.validation_curve
    assert history.n_steps < 3000
    assert curve.shape == history.loss_curve.shape
    best = [int(step) // 10 - 1 for step in history.best_step]
    members = X[8:].expand(3, -1, -1)
    np.testing.assert_allclose(network.loss(members).numpy(), [curve[b, e] for e, b in enumerate(best)], rtol=1e-5)
    for e, b in enumerate(best):
        assert curve[b, e] == curve[: b + 4, e].min()
        assert len(curve) >= b + 4  # the patience ran out
    alone, own = trained(few, (0,), held_out=X[8:], max_steps=3000, check_every=10, patience=3, learning_rate=0.02)
    assert own.best_step[0] == history.best_step[0]
    torch.testing.assert_close(alone.weights[0][0], network.weights[0][0], rtol=0, atol=1e-6)


def test_a_large_held_out_part_is_evaluated_in_pieces(X, monkeypatch):
    whole = trained(X[:100], (0, 1), held_out=X[100:])[1].validation_curve
    monkeypatch.setattr("odkit.nets.training.LOSS_ROWS", 7)
    np.testing.assert_allclose(trained(X[:100], (0, 1), held_out=X[100:])[1].validation_curve, whole, rtol=1e-6)


def spoiled(X, seeds, spoil, **kwargs):
    """A training in which members listed in `spoil` are given NaN parameters after the first record."""
    own = generators(seeds)
    network = AutoEncoderMembers(X.shape[1], (3,), True, own)

    def progress(step, loss):
        if step == 20:
            for member in spoil:
                network.flat[network.owner == member] = np.nan

    return network, train(network, X, own, max_steps=80, check_every=20, progress=progress, **kwargs)


@pytest.mark.parametrize("early", [False, True])
def test_a_member_that_diverges_is_frozen_and_named(X, early):
    held_out = {"held_out": X[100:]} if early else {}
    with pytest.warns(
        ConvergenceWarning, match=r"member 1 became infinite or NaN at step 21 \(epoch \d+, learning rate"
    ):
        network, history = spoiled(X[:100], (0, 1, 2), [1], **held_out)
    assert np.isnan(history.loss_curve).sum(axis=0).tolist() == [0, 3, 0]
    assert bool(torch.isfinite(network.flat).all())
    whole, _ = trained(X[:100], (0, 1, 2), max_steps=80, **held_out)
    torch.testing.assert_close(network.weights[0][::2], whole.weights[0][::2])
    first, _ = trained(X[:100], (0, 1, 2), max_steps=20, **held_out)
    torch.testing.assert_close(network.weights[0][1], first.weights[0][1])


@pytest.mark.parametrize(("batch_size", "epoch"), [(None, 21), (128, 11), (65, 11), (50, 7)])
def test_when_every_member_diverges_the_error_names_epoch_and_learning_rate(X, batch_size, epoch):
    """130 rows are 1, 2, 2 and 3 batches, so step 21 is of epoch 21, the first of epoch 11, and the last of epoch 7."""
    with pytest.raises(
        ValueError, match=rf"every member is infinite or NaN, first at step 21 \(epoch {epoch}, learning rate 0.001\)"
    ):
        spoiled(X, (0, 1), [0, 1], batch_size=batch_size)


def test_a_learning_rate_that_blows_up_is_named(X):
    with pytest.raises(ValueError, match="learning rate 1e\\+30"):
        trained(X, learning_rate=1e30)


def test_the_step_at_which_a_loss_was_lost_is_named_though_it_is_looked_at_later(X):
    """Also where the last update made the parameters infinite and no loss has shown it yet."""
    for last_good, max_steps, named in ((6, 40, 7), (40, 40, 40)):
        own = generators((0, 1))
        network, calls = AutoEncoderMembers(4, (3,), True, own), []

        def gradients(x, plain=network.gradients, calls=calls, network=network, last_good=last_good):
            loss = plain(x)
            calls.append(len(calls))
            if len(calls) == last_good:
                network.flat.grad[network.owner == 1] = np.nan
            return loss

        network.gradients = gradients
        with pytest.raises(ValueError, match=rf"^Model: .* member 1 .* from step {named} \(epoch"):
            train(network, X, own, max_steps=max_steps, check_every=20 if last_good < 20 else 40, name="Model")
