"""The one training loop: Adam on batches of rows that lie in memory, every member with its own order of rows.

Length is counted in steps, not in epochs: 50 epochs of 129 rows are 50 steps and no training at all. Nothing global is
touched: neither a seed nor the number of threads.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from odkit.kernels import cautions

__all__ = ["Adam", "History", "Network", "train"]

LOSS_ROWS = 16_384  # rows of the held-out part that are evaluated at once


class Network(Protocol):
    """What can be trained: members whose parameters lie in one vector and do not mix."""

    n_members: int
    flat: torch.Tensor
    owner: torch.Tensor

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Loss of each member on its own rows x (n_members, n, d), shape (n_members,), gradient in `flat.grad`."""

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """The same loss without its gradient."""


class History(NamedTuple):
    """What happened.

    Attributes
    ----------
    loss_curve : ndarray of shape (n_records, n_members)
        Mean training loss over the steps since the last record; NaN from where a member was frozen.
    validation_curve : ndarray of shape (n_records, n_members), or None without held-out rows
    best_step : ndarray of shape (n_members,), or None without held-out rows
        Step of the copy that was kept.
    n_steps : int
    kept_loss : ndarray of shape (n_members,)
        Training loss at the record whose copy each member ended with.
    """

    loss_curve: NDArray[np.float64]
    validation_curve: NDArray[np.float64] | None
    best_step: NDArray[np.int64] | None
    n_steps: int
    kept_loss: NDArray[np.float64]


def train(
    network: Network,
    X: torch.Tensor,
    generators: Sequence[torch.Generator],
    *,
    max_steps: int,
    batch_size: int | None = 128,
    learning_rate: float = 1e-3,
    lr_step: int = 1000,
    check_every: int = 50,
    held_out: torch.Tensor | None = None,
    patience: int = 10,
    progress: Callable[[int, NDArray[np.float64]], None] | None = None,
    name: str = "train",
) -> History:
    """Train all members at once, as each would be trained alone with its generator.

    Parameters
    ----------
    network : Network, changed in place
    X : torch.Tensor of shape (n, d), on the network's device
    generators : one torch.Generator on the cpu per member
        Each gives one permutation of the rows per epoch.
    max_steps : int
    batch_size : int or None
        An epoch is cut into ceil(n / batch_size) batches whose sizes differ by at most one, so no row is dropped and
        no batch is a leftover; None, or more than n, is all rows at once.
    learning_rate : float
        Halved after every `lr_step` steps.
    check_every : int
        Steps between two records.
    held_out : torch.Tensor of shape (n_held_out, d), optional
        Each member keeps the copy with the least loss on these rows and stops after `patience` records without a
        lower one; training ends when all have stopped.
    progress : callable, optional
        Called as progress(step, loss of each member) at every record.
    name : str
        Whose training it is, which messages begin with.

    Raises
    ------
    ValueError
        When the loss of every member has become infinite or NaN, or that of one before the first record, which leaves
        no trained copy of it. Otherwise members that are lost are set back to their last finite copy, frozen, and named
        in a ConvergenceWarning. Messages name the first step whose loss is no finite number, its epoch and its rate,
        though losses are looked at once a record, since to look at one is to wait for the device.
    """
    n, d = X.shape
    n_batches = 1 if batch_size is None else -(-n // batch_size)

    def rate_of(step: int) -> float:
        return learning_rate * 0.5 ** ((step - 1) // lr_step)

    def place(step: int) -> str:
        return f"step {step} (epoch {(step - 1) // n_batches + 1}, learning rate {rate_of(step):g})"

    adam = Adam(network.flat)
    watch = _Watch(network, held_out, patience, name, place)
    since: list[torch.Tensor] = []  # losses after the last record
    step = 0
    with torch.no_grad():
        while step < max_steps and not watch.done:
            order = torch.stack([torch.randperm(n, generator=generator) for generator in generators]).to(X.device)
            for rows in order.tensor_split(n_batches, dim=1):
                since.append(network.gradients(X.index_select(0, rows.reshape(-1)).view(network.n_members, -1, d)))
                step += 1
                adam.step(step, rate_of(step))
                if step % check_every == 0 or step == max_steps:
                    losses = torch.stack(since).cpu().numpy().astype(np.float64)
                    since.clear()
                    watch.record(step, losses)
                    if progress is not None:
                        progress(step, losses.mean(axis=0))
                    if step == max_steps or watch.done:
                        break
        watch.finish()
    curves = np.array(watch.losses), np.array(watch.held_out_losses) if held_out is not None else None
    return History(*curves, watch.best_step if held_out is not None else None, step, watch.kept_loss)


class Adam:
    """Adam (Kingma and Ba, 2015) on one vector; `first` and `second` are the decays of its two means.

    torch.optim.Adam spends as long on its groups, hooks and checks as such a network spends on its gradient.
    """

    EPSILON = 1e-8

    def __init__(self, flat: torch.Tensor, first: float = 0.9, second: float = 0.999) -> None:
        self.flat, self.first, self.second = flat, first, second
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)

    def step(self, number: int, rate: float) -> None:
        """Step `number`, from 1, along `flat.grad`."""
        gradient = self.flat.grad
        assert gradient is not None  # whoever made the vector allotted it
        self.mean.lerp_(gradient, 1 - self.first)
        self.square.mul_(self.second).addcmul_(gradient, gradient, value=1 - self.second)
        # mean / (1 - a^t) over sqrt(square / (1 - b^t)) + eps, both sides multiplied by sqrt(1 - b^t)
        unbias = (1 - self.second**number) ** 0.5
        size = self.square.sqrt().add_(self.EPSILON * unbias)
        self.flat.addcdiv_(self.mean, size, value=-rate * unbias / (1 - self.first**number))


class _Watch:
    """Keeps each member's copy to fall back on, and says when there is nothing left to train."""

    def __init__(
        self, network: Network, held_out: torch.Tensor | None, patience: int, name: str, place: Callable[[int], str]
    ) -> None:
        self.network, self.held_out, self.patience = network, held_out, patience
        self.name, self.place = name, place
        self.losses: list[NDArray] = []
        self.held_out_losses: list[NDArray] = []
        self.kept = network.flat.detach().clone()
        self.kept_loss = np.full(network.n_members, np.nan)
        self.alive = np.ones(network.n_members, dtype=bool)
        self.best = np.full(network.n_members, np.inf)
        self.best_step = np.zeros(network.n_members, dtype=np.int64)
        self.since_best = np.zeros(network.n_members, dtype=np.int64)  # in records
        self.stopped = np.zeros(network.n_members, dtype=bool)

    @property
    def done(self) -> bool:
        return bool((self.stopped | ~self.alive).all())

    def record(self, step: int, losses: NDArray) -> None:
        """Look at the losses (n_steps, n_members) of the steps since the last record, the last of which is `step`."""
        parameters = torch.zeros_like(self.network.flat[: self.network.n_members])
        parameters.index_add_(0, self.network.owner, self.network.flat * 0)  # inf * 0 and NaN * 0 are NaN
        loss = losses.mean(axis=0)
        finite = np.isfinite(loss) & np.isfinite(parameters.cpu().numpy())
        lost = self.alive & ~finite
        self.alive &= finite
        if lost.any():
            infinite = ~np.isfinite(losses[:, lost]).all(axis=1)
            # where all are finite the last step's update was what made the parameters infinite
            self._report(lost, step - len(losses) + 1 + int(infinite.argmax()) if infinite.any() else step)
        self.losses.append(np.where(self.alive, loss, np.nan))
        if self.held_out is None:
            self._keep(self.alive, loss)
            return
        held_out = np.where(self.alive, self._loss_on(self.held_out), np.nan)
        self.held_out_losses.append(held_out)
        better = (held_out < self.best) & ~self.stopped
        self.best[better], self.best_step[better] = held_out[better], step
        self._keep(better, loss)
        self.since_best = np.where(better, 0, self.since_best + 1)
        self.stopped |= self.since_best >= self.patience

    def _report(self, lost: NDArray, step: int) -> None:
        where, numbers = self.place(step), ", ".join(map(str, np.flatnonzero(lost)))
        if not self.alive.any():
            raise ValueError(
                f"{self.name}: training diverged: the loss of every member is infinite or NaN, first at {where}. "
                "Lower learning_rate, or scale the columns."
            )
        if not self.losses:
            raise ValueError(
                f"{self.name}: training diverged: the loss of member {numbers} is infinite or NaN from {where} on, "
                "before the first record, so that no trained copy is left to go back to. Lower learning_rate, or scale "
                "the columns."
            )
        cautions.warn(
            f"{self.name}: the loss of member {numbers} became infinite or NaN at {where}; it is set back to its "
            "last finite copy and trained no further. Lower learning_rate.",
            ConvergenceWarning,
        )

    def finish(self) -> None:
        """Give the kept copy to the members that were frozen, or to all where the best copy counts."""
        back = ~self.alive if self.held_out is None else np.ones_like(self.alive)
        self.network.flat.copy_(torch.where(self._entries(back), self.kept, self.network.flat))

    def _keep(self, members: NDArray, loss: NDArray) -> None:
        self.kept_loss[members] = loss[members]
        self.kept = torch.where(self._entries(members), self.network.flat, self.kept)

    def _entries(self, members: NDArray) -> torch.Tensor:
        return torch.as_tensor(members, device=self.network.owner.device)[self.network.owner]

    def _loss_on(self, X: torch.Tensor) -> NDArray[np.float64]:
        total = np.zeros(self.network.n_members)
        for rows in X.split(LOSS_ROWS):
            members = rows.expand(self.network.n_members, -1, -1)
            total += len(rows) * self.network.loss(members).cpu().numpy().astype(np.float64)
        return total / len(X)
