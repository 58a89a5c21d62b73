"""torch twins of `odkit.kernels.cpu.sparse_conv`: same names, same signatures, tensors in, tensors out."""

import torch

__all__ = ["pool_rules", "submanifold_rules"]


def submanifold_rules(sites: torch.Tensor, size: int) -> torch.Tensor:
    """Neighbours of each site in its 3 x 3 window, shape (n, 9): their numbers, n where there is none."""
    n = len(sites)
    image, y, x = sites.T
    keys = (image * size + y) * size + x
    rules = torch.full((n, 9), n, dtype=torch.int64, device=sites.device)
    rules[:, 4] = torch.arange(n, device=sites.device)
    for tap in range(4):
        dy, dx = divmod(tap, 3)
        dy, dx = dy - 1, dx - 1
        inside = ((y + dy >= 0) & (x + dx >= 0) & (x + dx < size)).nonzero()[:, 0]
        wanted = keys[inside] + dy * size + dx
        found = torch.searchsorted(keys, wanted)
        hit = keys[found] == wanted
        rules[inside[hit], tap] = found[hit]
        rules[found[hit], 8 - tap] = inside[hit]
    return rules


def pool_rules(sites: torch.Tensor, size: int, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells of stride x stride that hold a site, (m, 3) in order, and the cell's number for each site, (n,)."""
    side = -(-size // stride)
    keys = (sites[:, 0] * side + sites[:, 1] // stride) * side + sites[:, 2] // stride
    cells, parent = torch.unique(keys, return_inverse=True)
    return torch.stack([cells // (side * side), cells // side % side, cells % side], dim=1), parent
