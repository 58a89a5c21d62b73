"""Where EM starts, and with how many components it ends: clusters of a sample, halves of a smaller mixture, BIC."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.kernels.cpu import em, mixture
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.mixture_clusters import clusters, seeds, standardised
from odkit.kernels.cpu.mixture_criteria import bic, collapsed, singular

__all__ = [
    "Settings",
    "from_labels",
    "replaced",
    "sample_rows",
    "search",
    "short_run",
    "split",
]

SHORT_RUN = 10  # EM iterations that tell good starts from bad ones


class Settings(NamedTuple):
    """What shapes a fit: the parameters of that name of `GMM`."""

    covariance_type: str
    reg_covar: float
    tol: float
    max_iter: int
    n_init: int
    verbose: bool
    weights_init: ArrayLike | None
    means_init: ArrayLike | None
    precisions_init: ArrayLike | None


def search(
    pass_over: Callable[..., dict[str, Any]],
    sizes: list[int],
    settings: Settings,
    sample: NDArray,
    n_rows: int,
    rng: np.random.Generator,
    *,
    judge: bool = False,
    n_jobs: int = 1,
) -> tuple[em.Run, NDArray]:
    """Fit every size from its best start; the fit with the smallest BIC, and the sizes beside their BIC, shape (s, 2).

    From the second size on, the fit before with its components split is a rival of the `n_init` starts from `sample`. A
    fit with a collapsed or singular component has BIC infinity: its likelihood says only how low the floor is. A size
    that needs a floor and has none ends the list. Without `judge` there is one size, and its BIC is not asked for.

    The starts of all sizes are sought on `n_jobs` threads; the result does not depend on it.
    """
    runs: list[em.Run] = []
    for size, found in zip(sizes, _starts(sizes, settings, sample, rng, n_jobs), strict=True):
        try:
            start = _start(size, settings, sample, found, runs)
            runs.append(
                em.run(pass_over, start, n_rows, settings.reg_covar, settings.tol, settings.max_iter, settings.verbose)
            )
        except em.SingularError:
            if not runs:
                raise
            break
    if not judge:
        return runs[0], np.empty((0, 2))
    bics = []
    for run in runs:
        lost = (collapsed(run.mixture, n_rows, settings.reg_covar), singular(run.mixture, n_rows))
        broken = any(components.size for components in lost)
        total = np.nan if broken else pass_over(*em.kernel_arguments(run.mixture))["log_likelihood"]
        bics.append(np.inf if broken else bic(run.mixture, total, n_rows))
    return runs[int(np.argmin(bics))], np.column_stack([sizes[: len(bics)], bics])


def sample_rows(blocks: Iterable[NDArray], size: int, rng: np.random.Generator) -> tuple[NDArray, int]:
    """At most `size` random rows of all blocks, float64, in their order, and how many rows there were.

    How the rows are cut into blocks does not matter: the rows with the smallest of one random key each are kept.
    """
    rows, keys, n_rows = np.empty((0, 0)), np.empty(0), 0
    for block in blocks:
        block_keys = rng.random(len(block))
        kept = _smallest(block_keys, size)
        rows = np.concatenate([rows.reshape(-1, block.shape[1]), block[kept]])
        keys = np.concatenate([keys, block_keys[kept]])
        kept = _smallest(keys, size)
        rows, keys = rows[kept], keys[kept]
        n_rows += len(block)
    return rows, n_rows


def from_labels(
    X: NDArray, labels: NDArray[np.integer], means: NDArray, covariance_type: str, reg_covar: float
) -> em.Mixture:
    """The M-step of rows that belong wholly to the component their label names; `means` are near those of the labels.

    A component without rows stays at its mean, with covariance `reg_covar` I.
    """
    around = _around(means, covariance_type)
    sums = em.empty_sums(*em.kernel_arguments(around))
    for k, mean in enumerate(means):
        z = X[labels == k] - mean
        sums["mass"][k] = len(z)
        sums["first"][k] = z.sum(axis=0)
        sums["second"][k] = z.T @ z if sums["second"].ndim == 3 else (z * z).sum(axis=0)
    return em.m_step(sums, around, reg_covar)


def split(whole: em.Mixture) -> em.Mixture:
    """Twice the components: each in two halves, one standard deviation apart along its longest axis."""
    kind, (n_components, d) = whole.covariance_type, whole.means.shape
    if kind in ("full", "tied"):
        values, vectors = np.linalg.eigh(whole.covariances)
        axis = np.broadcast_to(vectors[..., :, -1] * np.sqrt(values[..., -1:]), (n_components, d))
    else:
        variances = np.broadcast_to(whole.covariances.reshape(n_components, -1), (n_components, d))
        axis = np.eye(d)[variances.argmax(axis=1)] * np.sqrt(variances.max(axis=1))[:, None]
    twice = (whole.covariances,) * 2 if kind != "tied" else (whole.covariances,)
    return em.from_covariances(
        kind,
        np.concatenate([whole.weights, whole.weights]) / 2,
        np.concatenate([whole.means - axis / 2, whole.means + axis / 2]),
        np.concatenate(twice),
    )


def short_run(start: em.Mixture, rows: NDArray, reg_covar: float) -> em.Run:
    """Where a start is after ten EM iterations on `rows`."""
    return em.run(lambda *arguments: mixture.em_sums(rows, *arguments), start, len(rows), reg_covar, 0.0, SHORT_RUN)


def replaced(
    start: em.Mixture, weights: ArrayLike | None, means: ArrayLike | None, precisions: ArrayLike | None
) -> em.Mixture:
    """The start with what is given put in its place, or a ValueError that says what does not fit."""
    given = {
        "weights_init": (weights, start.weights),
        "means_init": (means, start.means),
        "precisions_init": (precisions, start.covariances),
    }
    values = []
    for name, (value, old) in given.items():
        array = None if value is None else np.asarray(value, dtype=np.float64)
        if array is not None and (array.shape != old.shape or not np.isfinite(array).all()):
            raise ValueError(f"mixture: {name} must be finite with shape {old.shape}, given was shape {array.shape}.")
        values.append(array)
    new_weights, new_means, new_precisions = values
    if new_weights is not None and (new_weights.min() < 0 or abs(new_weights.sum() - 1) > 1e-8):
        raise ValueError(f"mixture: weights_init must be at least 0 and sum to 1, given was {new_weights.tolist()}.")
    new_weights = start.weights if new_weights is None else new_weights
    new_means = start.means if new_means is None else new_means
    if new_precisions is None:
        return start._replace(weights=new_weights, means=new_means)
    return em.from_precisions(start.covariance_type, new_weights, new_means, new_precisions)


def _starts(
    sizes: list[int], settings: Settings, sample: NDArray, rng: np.random.Generator, n_jobs: int
) -> list[list[em.Run | ValueError]]:
    """The `n_init` starts of every size: where they are after a short run, or why they have none.

    Random numbers are drawn here, one after the other, so that threads decide nothing. A start that has no rival takes
    no steps: its run is empty.
    """
    if all(part is not None for part in settings[-3:]):
        return [[] for _ in sizes]
    scaled = standardised(sample)
    drawn = [seeds(scaled.rows, size, rng) for size in sizes for _ in range(settings.n_init)]
    found: list[Any] = [None] * len(drawn)

    def seek(i: int) -> None:
        kind, reg_covar = settings.covariance_type, settings.reg_covar
        try:
            start = from_labels(sample, *clusters(scaled, drawn[i]), kind, reg_covar)
            alone = settings.n_init == 1 and i == 0
            found[i] = em.Run(start, -np.inf, 0, False) if alone else short_run(start, sample, reg_covar)
        except ValueError as error:  # of this size alone, which may never be reached
            found[i] = error

    over_items(seek, range(len(drawn)), n_jobs)
    return [found[i : i + settings.n_init] for i in range(0, len(found), settings.n_init)]


def _start(
    size: int, settings: Settings, sample: NDArray, found: list[em.Run | ValueError], smaller: list[em.Run]
) -> em.Mixture:
    """The best of the starts found and of the next smaller mixture with its components split."""
    kind, reg_covar, given = settings.covariance_type, settings.reg_covar, settings[-3:]
    if not found:
        return replaced(_around(np.zeros((size, sample.shape[1])), kind), *given)
    runs: list[em.Run] = []
    for one in found:
        if isinstance(one, ValueError):
            raise one
        runs.append(one)
    runs += [short_run(split(run.mixture), sample, reg_covar) for run in smaller[-1:]]
    return replaced(max(runs, key=lambda run: run.lower_bound).mixture, *given)


def _around(means: NDArray, covariance_type: str) -> em.Mixture:
    """Unit covariances and equal weights at the means."""
    n_components, d = means.shape
    unit = {
        "full": np.tile(np.eye(d), (n_components, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((n_components, d)),
        "spherical": np.ones(n_components),
    }
    return em.from_covariances(covariance_type, np.full(n_components, 1 / n_components), means, unit[covariance_type])


def _smallest(keys: NDArray, size: int) -> NDArray[np.intp] | slice:
    return slice(None) if len(keys) <= size else np.sort(np.argpartition(keys, size - 1)[:size])
