"""torch twins of `odkit.kernels.cpu.neighbors`: same names, same signatures, tensors in, tensors out, float64.

Also float32 rows are compared in float64, as on the cpu: expanded squares have lost the order of near rows in float32.
"""

import math

import torch

from odkit.kernels.cpu.neighbors import LIMIT, SAMPLE, SPARE, VANISHING, VAST, Place, is_sure

__all__ = [
    "LIMIT",
    "SPARE",
    "Place",
    "candidates",
    "distance_parts",
    "measured",
    "place_of",
    "placed",
    "settle",
    "sure",
    "without_copy",
]

BLOCK_CELLS = 1 << 26  # numbers of scratch per block: 512 MiB in float64


def place_of(rows: torch.Tensor) -> Place:
    """The median and typical extent of some rows; a few corrupt cells move neither."""
    some = rows[:: -(-len(rows) // SAMPLE)].double()
    center = some.median(dim=0).values
    extents = (some - center).abs().amax(dim=1)
    extent = float(extents.median()) or float(extents.max()) or float((rows.double() - center).abs().max())
    return Place(center, 2.0 ** (math.frexp(extent)[1] - 1) if 0 < extent < math.inf else 1.0)


def placed(X: torch.Tensor, place: Place) -> torch.Tensor:
    """X as the search sees it, float64."""
    return ((X.double() - place.center) / place.scale).clamp(-LIMIT, LIMIT)


def candidates(
    queries: torch.Tensor, rows: torch.Tensor, n_candidates: int, place: Place
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest rows of each query as one matrix product per block sees them: edge (m,), index (m, n_candidates)."""
    rows = placed(rows, place)
    half_norms = (rows * rows).sum(dim=1) / 2
    edge = torch.empty(len(queries), dtype=torch.float64, device=rows.device)
    index = torch.empty((len(queries), n_candidates), dtype=torch.int64, device=rows.device)
    for block in _blocks(len(queries), len(rows)):
        q = placed(queries[block], place)
        found = torch.addmm(half_norms, q, rows.T, alpha=-1).topk(n_candidates, dim=1, largest=False)
        edge[block], index[block] = 2 * found.values.amax(dim=1) + (q * q).sum(dim=1), found.indices
    return edge, index


def settle(
    queries: torch.Tensor,
    rows: torch.Tensor,
    edge: torch.Tensor,
    index: torch.Tensor,
    n_neighbors: int,
    place: Place,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances to the n_neighbors nearest rows, and their index, nearest first, from candidates."""
    complete = index.shape[1] == len(rows)
    distance, index = (part[:, :n_neighbors] for part in measured(queries, rows, index))
    if not complete:
        again = ~sure(queries, distance, edge, place)
        if bool(again.any()):
            distance, index = distance.clone(), index.clone()
            distance[again], index[again] = _by_differences(queries[again], rows, n_neighbors)
    return distance, index


def sure(queries: torch.Tensor, distance: torch.Tensor, edge: torch.Tensor, place: Place) -> torch.Tensor:
    """Whether no row outside the candidates is nearer than the farthest of these distances (m, k), ascending; (m,)."""
    fine = torch.empty(len(queries), dtype=torch.bool, device=queries.device)
    for block in _blocks(len(queries), queries.shape[1]):
        norm = placed(queries[block], place).square().sum(dim=1).sqrt()
        fine[block] = is_sure(norm, distance[block] / place.scale, edge[block], queries.shape[1])
    return fine


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
    parts = torch.empty(queries.shape, dtype=torch.float64, device=rows.device)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference, length = _differences(queries, rows, index, block), distance[block][:, :, None]
        cosines = torch.where(length > 0, difference / length, 0.0)
        parts[block] = (difference / index.shape[1] * cosines).sum(dim=1)
    return parts


def measured(queries: torch.Tensor, rows: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances to the rows named by `index`, shape (m, k), from plain differences, and `index` sorted by them."""
    distance = torch.empty(index.shape, dtype=torch.float64, device=rows.device)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        distance[block] = _lengths(_differences(queries, rows, index, block))
    distance, order = distance.sort(dim=1, stable=True)
    return distance, index.gather(1, order)


def _by_differences(queries: torch.Tensor, rows: torch.Tensor, n_neighbors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest rows by brute force without a product: exact at any scale, and slow."""
    index = torch.empty((len(queries), n_neighbors), dtype=torch.int64, device=rows.device)
    for block in _blocks(len(queries), rows.numel()):
        lengths = _lengths(rows.double()[None] - queries[block, None, :].double())
        index[block] = lengths.topk(n_neighbors, dim=1, largest=False).indices
    return measured(queries, rows, index)


def _lengths(difference: torch.Tensor) -> torch.Tensor:
    """Euclidean norms along the last axis; where squares leave the range of float64, of numbers scaled first."""
    squares = (difference * difference).sum(dim=-1)
    odd = ~((squares > VANISHING) & (squares < VAST))
    lengths = squares.sqrt()
    if bool(odd.any()):
        rest = difference[odd]
        largest = rest.abs().amax(dim=-1)
        scaled = torch.where(largest[:, None] > 0, rest / largest[:, None], 0.0)
        lengths[odd] = largest * (scaled * scaled).sum(dim=-1).sqrt()
    return lengths


def _differences(queries: torch.Tensor, rows: torch.Tensor, index: torch.Tensor, block: slice) -> torch.Tensor:
    return rows[index[block]].double() - queries[block, None, :].double()


def _blocks(n_rows: int, cells_per_row: int) -> list[slice]:
    step = max(1, BLOCK_CELLS // cells_per_row)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
