"""Training of HypAD's networks against critics, in the house's loop: `n_critic` minibatches for them, one for the rest.

Corrected against the published code: the target's point is no path for the gradient and its head is frozen, so that
distances cannot shrink by moving the ruler; the decoder also has a Euclidean loss; the critic compares windows with
windows, and the gradient penalty is of single rows. `Plan.published` brings the published ways back.
"""

from itertools import count
from typing import Any

import torch
from numpy.typing import NDArray

from odkit.nets.critic import critic_gradient, critic_shapes, input_gradient
from odkit.nets.hypad import Plan, embed, point_distance, predicted, windows_of
from odkit.nets.training import Adam, History, train
from odkit.nets.weights import Weights

__all__ = ["Trainee", "fit_networks", "head_weights"]

MEDIAN_NORM = 0.7  # of the targets' tangent vectors: away from the origin and from the rim
NO_NORM = 1e-6
HEAD_WINDOWS = 2048  # from which that median is taken


def head_weights(plan: Plan, targets: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The head, (channels * horizon, head_dim): orthogonal, as long as makes the median target have norm 0.7.

    Targets that are all zero leave it orthonormal. As published: tiny normal weights, no matter what the targets are.
    """
    inputs = plan.channels * plan.horizon
    if plan.published:
        return torch.randn(inputs, inputs, generator=generator).to(targets.device) / (100 * 2**0.5 * inputs)
    wide = torch.randn(max(inputs, plan.head_dim), min(inputs, plan.head_dim), generator=generator)
    directions = torch.linalg.qr(wide).Q
    directions = (directions if inputs >= plan.head_dim else directions.T).to(targets.device)
    median = float((targets.flatten(1) @ directions).norm(dim=1).median())
    return directions * (MEDIAN_NORM / median if median > NO_NORM else 1.0)


class Trainee:
    """Encoder, decoder and critics in the form that `odkit.nets.training.train` takes: rows are numbers of windows.

    Parameters
    ----------
    plan : Plan
    windows : torch.Tensor of shape (n_windows, channels, window)
    n_shown : int
        The first of them are for training, the rest only for `loss`.
    seed : int
    lambda_rec, lambda_mse : float
        Weights of the mean distance in the ball and of the mean squared error of the decoded values.
    n_critic : int
        Minibatches for the critics per minibatch of the rest; 0: untrained critics and no adversarial loss.
    critic_rate : float
    """

    n_members = 1

    def __init__(
        self,
        plan: Plan,
        windows: torch.Tensor,
        n_shown: int,
        seed: int,
        *,
        lambda_rec: float = 10.0,
        lambda_mse: float = 1.0,
        n_critic: int = 5,
        critic_rate: float = 5e-4,
    ) -> None:
        device = str(windows.device)
        first = torch.Generator().manual_seed(seed)  # weights are drawn on the cpu: the same ones on every device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.plan, self.windows, self.n_shown = plan, windows, n_shown
        self.lambda_rec, self.lambda_mse = lambda_rec, 0.0 if plan.published else lambda_mse
        self.n_critic, self.critic_rate = n_critic, critic_rate
        self.weights = Weights(plan.shapes(), first, device)
        sample = torch.linspace(0, n_shown - 1, min(n_shown, HEAD_WINDOWS), device=device).long()
        head = head_weights(plan, windows[sample][..., -plan.horizon :], first)
        with torch.no_grad():
            for name in self.weights.keys() & {"head.b", "ahead.b"}:
                self.weights[name].zero_()
            if "head.w" in self.weights:
                self.weights["head.w"].copy_(head)
        self.p = {"head.w": head, **self.weights}
        self.flat = self.weights.flat
        self.owner = torch.zeros(len(self.flat), dtype=torch.int64, device=device)
        sizes = [plan.channels * plan.horizon] + [plan.latent] * plan.published
        self.critics = [Weights(critic_shapes(size), first, device) for size in sizes]
        self.optimisers = [Adam(critic.flat, 0.5, 0.9) for critic in self.critics]
        self.steps = count(1)

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Train the critics, then give the loss less its adversarial part; the gradient of all is in `flat.grad`."""
        real = self.windows[x.reshape(-1)]
        n, net = len(real), self.plan.net
        if self.n_critic:
            self._train_critics(n)
        with torch.enable_grad():
            self.weights.grad.zero_()
            latent = net.encode(self.p, real[..., : self.plan.source])
            if self.n_critic:
                decoded, fake = net.decode(self.p, torch.cat([latent, self._noise(n)])).chunk(2)
                total = loss = self._loss(real, latent, decoded)
                made = [self._judged(fake), latent]
                for critic, rows in zip(self.critics, made, strict=False):
                    # - mean C(rows); the critic's slope is known in closed form, so the critic stays out of the graph
                    slope = input_gradient(critic, rows.detach())
                    total = total - (rows * slope).sum() / n
            else:
                total = loss = self._loss(real, latent, net.decode(self.p, latent))
            total.backward()
        return loss.detach()[None]

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """lambda_rec * mean distance + lambda_mse * mean squared error, shape (1,)."""
        real = self.windows[x.reshape(-1)]
        latent = self.plan.net.encode(self.p, real[..., : self.plan.source])
        return self._loss(real, latent, self.plan.net.decode(self.p, latent))[None]

    def _loss(self, real: torch.Tensor, latent: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        target = real[..., -self.plan.horizon :]
        point, aim = predicted(self.plan, self.p, latent, decoded), embed(self.plan, self.p, target)
        if not self.plan.published:
            aim = aim.detach()
        loss = self.lambda_rec * point_distance(self.plan, point, aim).mean()
        return loss + self.lambda_mse * (decoded - target).square().mean() if self.lambda_mse else loss

    def _train_critics(self, n: int) -> None:
        rows = torch.randint(self.n_shown, (n * self.n_critic,), generator=self.generator, device=self.flat.device)
        real, noise, net = self.windows[rows], self._noise(n), self.plan.net
        made = self._judged(net.decode(self.p, noise)).repeat(self.n_critic, 1)  # the same for all: decoding costs most
        pairs = [(real[..., -self.plan.horizon :].flatten(1), made)]
        if self.plan.published:
            pairs.append((self._noise(len(rows)), net.encode(self.p, real[..., : self.plan.source])))
        for batch in range(self.n_critic):
            step, part = next(self.steps), slice(batch * n, (batch + 1) * n)
            for critic, optimiser, (true, made) in zip(self.critics, self.optimisers, pairs, strict=True):
                critic_gradient(
                    critic, critic.gradients, true[part], made[part], self.generator, joint_norm=self.plan.published
                )
                optimiser.step(step, self.critic_rate)

    def _noise(self, n: int) -> torch.Tensor:
        return torch.randn(n, self.plan.latent, generator=self.generator, device=self.flat.device)

    def _judged(self, decoded: torch.Tensor) -> torch.Tensor:
        """What the critic compares with windows: decoded noise; as published, its image in the ball."""
        return embed(self.plan, self.p, decoded) if self.plan.published else decoded.flatten(1)


def fit_networks(
    plan: Plan,
    X: NDArray,
    *,
    epochs: int,
    max_train_windows: int,
    batch_size: int,
    learning_rate: float,
    patience: int | None,
    device: str,
    seed: int,
    progress: Any = None,
    **objective: Any,
) -> tuple[dict[str, NDArray], dict[str, NDArray], History]:
    """Train on a scaled series X (n, channels): weights of the generator, of the critic, and what happened.

    An epoch is min(n_windows, max_train_windows) windows. With `patience` the last tenth of the windows is held out,
    and of the others those that share steps with it are left out.
    """
    windows = windows_of(X, plan.window, device)
    n_shown, held_out = len(windows), None
    if patience is not None:
        first = len(windows) - max(1, len(windows) // 10)
        n_shown = max(first - plan.window + 1, 1)
        held_out = torch.arange(first, len(windows), device=device)[:, None]
    network = Trainee(plan, windows, n_shown, seed, critic_rate=learning_rate, **objective)
    batches = -(-min(n_shown, max_train_windows) // batch_size)
    history = train(
        network,
        torch.arange(n_shown, device=device)[:, None],
        [torch.Generator().manual_seed(seed + 1)],
        max_steps=epochs * batches,
        batch_size=batch_size,
        learning_rate=learning_rate,
        lr_step=epochs * batches,
        check_every=batches,
        held_out=held_out,
        patience=patience or 1,
        progress=progress,
    )
    weights = {"head.w": network.p["head.w"].detach().cpu().numpy()} | network.weights.arrays()
    return weights, network.critics[0].arrays(), history
