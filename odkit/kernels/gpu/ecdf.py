"""torch twins of `odkit.kernels.cpu.ecdf`: same names, same signatures, tensors in, tensors out.

Equal to the cpu to 1e-12 relative: counts and costs are the same numbers, only the sum over features has another
order. All features are searched in one launch.
"""

from typing import Any

import torch

from odkit.kernels.cpu.tail_table import TABLED

__all__ = ["tail_max", "tail_sums", "tail_terms"]

BLOCK_CELLS = 1 << 23  # cells whose costs are computed at once: some 100 bytes of scratch each


def tail_max(X: torch.Tensor, table: Any, cap: float, missing: torch.Tensor, *, n_jobs: int = 1) -> torch.Tensor:
    """(m,) float64: sum over features of the larger of left and right cost.

    X (m, d) in the table's dtype; table: a TailTable of tensors; cap in nats, 0 = no tail excess; missing (3, d)
    float64, what a NaN cell costs. n_jobs has no effect.
    """
    out = torch.empty(len(X), dtype=torch.float64, device=X.device)
    keys = _padded_keys(table)
    for rows in _blocks(X):
        left, right, absent = _costs(X[rows], table, keys, cap)
        out[rows] = torch.where(absent, missing[2, :, None], torch.maximum(left, right)).sum(dim=0)
    return out


def tail_sums(
    X: torch.Tensor, table: Any, signs: torch.Tensor, cap: float, missing: torch.Tensor, *, n_jobs: int = 1
) -> torch.Tensor:
    """(3, m): sums over features of the left, right and auto cost; auto is left where signs < 0, else right."""
    out = torch.empty((3, len(X)), dtype=torch.float64, device=X.device)
    keys = _padded_keys(table)
    for rows in _blocks(X):
        left, right, absent = _costs(X[rows], table, keys, cap)
        left, right = torch.where(absent, missing[0, :, None], left), torch.where(absent, missing[1, :, None], right)
        auto = torch.where(signs[:, None] < 0, left, right)
        out[:, rows] = torch.stack([left.sum(dim=0), right.sum(dim=0), auto.sum(dim=0)])
    return out


def tail_terms(X: torch.Tensor, table: Any, cap: float, *, n_jobs: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Left and right cost of every cell, (m, d) each; the cells of X are not missing."""
    a, b = (torch.empty(X.shape, dtype=torch.float64, device=X.device) for _ in range(2))
    keys = _padded_keys(table)
    for rows in _blocks(X):
        left, right, _ = _costs(X[rows], table, keys, cap)
        a[rows], b[rows] = left.T, right.T
    return a, b


def _blocks(X: torch.Tensor) -> list[slice]:
    step = max(1, BLOCK_CELLS // X.shape[1])
    return [slice(start, min(start + step, len(X))) for start in range(0, len(X), step)]


def _padded_keys(table: Any) -> torch.Tensor:
    """(d, most keys of a feature): ascending keys, infinity behind the last."""
    lengths = table.offsets.diff()
    width = int(lengths.max())
    if bool((lengths == width).all()):
        return table.values.view(len(lengths), width)
    keys = torch.full((len(lengths), width), torch.inf, dtype=table.values.dtype, device=table.values.device)
    keys[torch.arange(width, device=keys.device) < lengths[:, None]] = table.values
    return keys


def _costs(
    X: torch.Tensor, table: Any, keys: torch.Tensor, cap: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Left and right cost and whether the cell is missing, all (d, rows)."""
    x = X.T.contiguous()
    absent = x.isnan()
    lengths, sizes = table.offsets.diff()[:, None], table.sizes[:, None]
    # NaN and infinity are found behind the padding; they belong behind the last key
    below = torch.minimum(torch.searchsorted(keys, x), lengths)
    upto = torch.minimum(torch.searchsorted(keys, x, right=True), lengths)
    form, start = table.count_offsets[:, None], table.cost_offsets[:, None]
    tabled = form == TABLED
    if len(table.counts):
        counted, first = form >= 0, form.clamp(min=0)
        last = len(table.counts) - 1
        below = torch.where(counted, table.counts[(first + below).clamp(max=last)], below)
        upto = torch.where(counted, table.counts[(first + upto).clamp(max=last)], upto)
    left = table.costs[start + upto]
    right = table.costs[start + torch.where(tabled, 2 * lengths + 1, sizes) - below]
    if cap > 0 and len(table.values):
        ends = table.offsets[:-1].clamp(max=len(table.values) - 1), (table.offsets[1:] - 1).clamp(min=0)
        lowest, highest = (table.values[end].double()[:, None] for end in ends)
        there = lengths > 0  # a feature without a training value has no range to lie beyond
        left = left + _excess(lowest - x.double(), there & (x < lowest), table.scales[0][:, None], cap)
        right = right + _excess(x.double() - highest, there & (x > highest), table.scales[1][:, None], cap)
    return left, right, absent


def _excess(distance: torch.Tensor, outside: torch.Tensor, scale: torch.Tensor, cap: float) -> torch.Tensor:
    """Nats for lying beyond the end of the training range, 0 inside."""
    far = distance >= cap * scale
    nats = torch.where(far, cap, distance / torch.where(far, 1.0, scale))
    return torch.where(outside, nats, 0.0)
