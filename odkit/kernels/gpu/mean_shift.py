"""torch twins of `odkit.kernels.cpu.mean_shift`: same names, same signatures, tensors in, tensors out.

Brute force in blocks, by plain differences (a matrix product would break ties by rounding). Distances may differ from
the cpu's in the last bit; exact ties go to the first row on both.
"""

import torch

__all__ = ["mean_shift_distance", "nearest", "shift"]

BLOCK_CELLS = 1 << 26  # numbers of scratch per block: 512 MiB in float64


def shift(
    queries: torch.Tensor,
    rows: torch.Tensor,
    n_neighbors: int,
    statistic: str = "mean",
    n_jobs: int = 1,
    self_counted: bool = True,
) -> torch.Tensor:
    """Move each query to the mean or the medoid of its nearest rows, shape (m, d); `n_jobs` has no effect."""
    if self_counted:
        index = nearest(queries, rows, n_neighbors, n_jobs)
    else:
        index = _others(queries, rows, nearest(queries, rows, n_neighbors + 1, n_jobs))
    out = torch.empty_like(queries)
    cells = n_neighbors * rows.shape[1] * (1 if statistic == "mean" else n_neighbors)
    for block in _blocks(len(queries), cells):
        near = rows[index[block]]
        if statistic == "mean":
            out[block] = near.mean(dim=1)
        else:
            summed = (near[:, :, None, :] - near[:, None, :, :]).abs().sum(dim=(2, 3))
            out[block] = near[torch.arange(len(near), device=near.device), summed.argmin(dim=1)]
    return out


def mean_shift_distance(X: torch.Tensor, shifted: torch.Tensor) -> torch.Tensor:
    """How far each row has moved, shape (n,); infinite only where |x| is."""
    distance, small = ((X - shifted).mul(unit).square().sum(dim=1).sqrt() / unit for unit in (1.0, 2.0**-600))
    return torch.where(distance.isinf(), small, distance)


def nearest(queries: torch.Tensor, rows: torch.Tensor, n_neighbors: int, n_jobs: int = 1) -> torch.Tensor:
    """The nearest rows of each query in ascending order of the row, shape (m, n_neighbors), int64."""
    n = len(rows)
    index = torch.empty((len(queries), n_neighbors), dtype=torch.int64, device=rows.device)
    for block in _blocks(len(queries), 2 * n):
        distance = torch.cdist(queries[block], rows, compute_mode="donot_use_mm_for_euclid_dist")
        found = distance.topk(min(n_neighbors + 1, n), dim=1, largest=False, sorted=True)
        first = found.indices[:, :n_neighbors]
        if n_neighbors < n:  # topk picks any of the rows that tie for the last place: those queries are sorted whole
            tied = found.values[:, -2] == found.values[:, -1]
            if tied.any():
                first[tied] = distance[tied].sort(dim=1, stable=True).indices[:, :n_neighbors]
        index[block] = first.sort(dim=1).values
    return index


def _others(queries: torch.Tensor, rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Neighbours but one: the first that equals its query or, where none does, the last by (distance, row)."""
    distance, equal = torch.zeros_like(index, dtype=rows.dtype), torch.ones_like(index, dtype=torch.bool)
    for j in range(rows.shape[1]):
        gap = rows[index, j] - queries[:, j, None]
        distance += gap.square()
        equal &= gap == 0
    columns = torch.arange(index.shape[1], device=index.device)
    last = torch.where(distance == distance.amax(dim=1, keepdim=True), columns, -1).amax(dim=1)
    first = torch.where(equal, columns, index.shape[1]).amin(dim=1)
    passed = torch.where(equal.any(dim=1), first, last)
    return index[columns != passed[:, None]].view(len(index), -1)


def _blocks(n_rows: int, cells_per_row: int) -> list[slice]:
    step = max(1, BLOCK_CELLS // cells_per_row)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
