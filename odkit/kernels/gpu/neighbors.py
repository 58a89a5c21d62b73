"""torch twins of `odkit.kernels.cpu.neighbors`: same names, same signatures, tensors in, tensors out.

They compute in the dtype they are given: float32 is approximate in the choice between near-equal neighbours.
"""

import torch

__all__ = ["distance_parts", "nearest", "neighbor_distances", "without_copy"]

BLOCK_CELLS = 1 << 26  # numbers of scratch per block: 512 MiB in float64


def nearest(queries: torch.Tensor, rows: torch.Tensor, n_neighbors: int) -> torch.Tensor:
    """Index of the nearest rows of each query, shape (m, n_neighbors), nearest first, by brute force."""
    center = rows.mean(dim=0)
    rows = rows - center
    half_norms = (rows * rows).sum(dim=1) / 2
    index = torch.empty((len(queries), n_neighbors), dtype=torch.int64, device=rows.device)
    for block in _blocks(len(queries), len(rows)):
        key = torch.addmm(half_norms, queries[block] - center, rows.T, alpha=-1)
        index[block] = key.topk(n_neighbors, dim=1, largest=False, sorted=True).indices
    return index


def neighbor_distances(
    queries: torch.Tensor, rows: torch.Tensor, index: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances to the rows named by `index`, shape (m, k), from plain differences, and `index` sorted by them."""
    distance = torch.empty(index.shape, dtype=rows.dtype, device=rows.device)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference = rows[index[block]] - queries[block, None, :]
        distance[block] = (difference * difference).sum(dim=2).sqrt()
    distance, order = distance.sort(dim=1, stable=True)
    return distance, index.gather(1, order)


def without_copy(
    queries: torch.Tensor, rows: torch.Tensor, distance: torch.Tensor, index: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One neighbour fewer: the first that equals the query in every column goes, else the farthest."""
    dropped = torch.empty(len(queries), dtype=torch.int64, device=rows.device)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        copy = (rows[index[block]] == queries[block, None, :]).all(dim=2)
        copy[:, -1] = True
        dropped[block] = copy.int().argmax(dim=1)  # the first maximum, as numpy's
    kept = torch.arange(index.shape[1], device=rows.device) != dropped[:, None]
    shape = (len(queries), index.shape[1] - 1)
    return distance[kept].reshape(shape), index[kept].reshape(shape)


def distance_parts(
    queries: torch.Tensor, rows: torch.Tensor, distance: torch.Tensor, index: torch.Tensor
) -> torch.Tensor:
    """Share of each feature in the mean of a query's distances, shape (m, d)."""
    parts = torch.empty_like(queries)
    scale = torch.where(distance > 0, 1 / (distance * index.shape[1]), 0.0)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference = rows[index[block]] - queries[block, None, :]
        parts[block] = torch.einsum("ijk,ij->ik", difference * difference, scale[block])
    return parts


def _blocks(n_rows: int, cells_per_row: int) -> list[slice]:
    step = max(1, BLOCK_CELLS // cells_per_row)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
