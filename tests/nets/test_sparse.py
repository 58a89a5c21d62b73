"""Sparse convolutions: equal to dense ones at the active sites, gradients checked, moves as permutations of taps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from odkit.nets.sparse import SparseClassifier, SubmanifoldConvolution, Trainee, prepare  # noqa: E402


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return [np.unique(rng.integers(0, 16, (n, 2)), axis=0) for n in (40, 1, 90, 25)]


def dense(f, maps, size):
    grid = torch.zeros(len(maps), f.shape[1], size, size, dtype=f.dtype)
    rows = iter(f)
    for image, wafer in zip(grid, maps, strict=True):
        for y, x in wafer.tolist():
            image[:, y, x] = next(rows)
    return grid


def sparse(grid, maps):
    return torch.stack([grid[b, :, y, x] for b, wafer in enumerate(maps) for y, x in wafer.tolist()])


def test_equal_to_a_dense_convolution_at_active_sites(maps):
    layer = SubmanifoldConvolution(3, 5, torch.Generator().manual_seed(0)).double()
    batch = prepare(maps, 16, (4,)).batch(range(4))
    f = torch.randn(len(batch.rules[0]), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kernel = layer.weight.view(3, 3, 3, 5).permute(3, 2, 0, 1)
    expected = sparse(torch.nn.functional.conv2d(dense(f, maps, 16), kernel, padding=1), maps)
    torch.testing.assert_close(layer(f, batch.rules[0]), expected, rtol=1e-12, atol=1e-12)


def test_gradients(maps):
    layer = SubmanifoldConvolution(2, 3, torch.Generator().manual_seed(0)).double()
    rules = prepare(maps[:2], 16, (4,)).batch(range(2)).rules[0]
    f = torch.randn(len(rules), 2, dtype=torch.float64, requires_grad=True)

    def convolved(f, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (f, rules))

    assert torch.autograd.gradcheck(convolved, (f, layer.weight))


def test_a_network_equals_its_dense_twin(maps):
    network = SparseClassifier((4, 6), 5, 3, torch.Generator().manual_seed(0)).double().eval()
    for norm in network.norms:
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 2)
    found = network(prepare(maps, 16, (2, 4)).batch(range(4)))
    points = dense(torch.ones(sum(map(len, maps)), 1, dtype=torch.float64), maps, 16)
    f = points[:, :0]
    for layer, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        n_in, n_out = convolution.weight.shape[1:]
        kernel = convolution.weight.view(3, 3, n_in, n_out).permute(3, 2, 0, 1)
        f = torch.nn.functional.conv2d(torch.cat([f, points.log1p()], dim=1), kernel, padding=1)
        f = torch.nn.functional.batch_norm(f, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        active = (points > 0).double()
        f = torch.relu(f) * active
        if layer < 2:
            side = (2, 4)[layer]
            f, points = torch.nn.functional.max_pool2d(f, side), torch.nn.functional.lp_pool2d(points, 1.0, side)
    latents = f.sum(dim=(2, 3)) / active.sum(dim=(2, 3))
    torch.testing.assert_close(found, network.head(latents), rtol=1e-6, atol=1e-6)  # counts are float32


@pytest.mark.parametrize("size", [16, 13])
def test_moves_are_permutations_of_taps(maps, size):
    """All eight moved maps, prepared anew, against all eight permutations: each is one of the others, none twice."""
    maps = [wafer[(wafer < size).all(axis=1)] for wafer in maps]
    network = SparseClassifier((4, 6), 5, 3, torch.Generator().manual_seed(0)).double().eval()
    images = prepare(maps, size, (2, 4))
    by_taps = [network(images.batch(range(4), [move] * 4)) for move in range(8)]
    by_sites = []
    for move in range(8):
        moved = []
        for wafer in maps:
            grid = np.zeros((16, 16), bool)  # 13 is rounded up to a multiple of the pools
            grid[tuple(wafer.T)] = True
            grid = np.rot90(grid, move // 2)
            moved.append(np.argwhere(grid[::-1] if move % 2 else grid))
        by_sites.append(network(prepare(moved, 16, (2, 4)).batch(range(4))))
    partner = [[k for k in range(8) if torch.allclose(one, by_sites[k], atol=1e-10)] for one in by_taps]
    assert sorted(partner) == [[k] for k in range(8)]
    assert partner[0] == [0]


def test_the_eight_moves_are_different(maps):
    network = SparseClassifier((4,), 5, 3, torch.Generator().manual_seed(0)).double().eval()
    images = prepare(maps, 16, (4,))
    found = {network(images.batch([2], [move])).detach().numpy().round(9).tobytes() for move in range(8)}
    assert len(found) == 8


def test_empty_and_single_sites():
    network = SparseClassifier((4, 6), 5, 3, torch.Generator().manual_seed(0)).eval()
    empty = np.empty((0, 2), np.int64)
    corner = np.array([[0, 0]])
    images = prepare([empty, corner, empty], 16, (2, 4))
    latents = network.encode(images.batch([0, 1, 2]))
    assert not latents[[0, 2]].any()
    torch.testing.assert_close(latents[1], network.encode(images.batch([1]))[0])
    network.train()
    assert torch.isfinite(network(images.batch([1]))).all()  # one site: no batch statistics
    assert torch.isfinite(network(images.batch([0]))).all()


def test_a_batch_is_its_images_side_by_side(maps):
    network = SparseClassifier((4, 6), 5, 3, torch.Generator().manual_seed(0)).double().eval()
    images = prepare(maps, 16, (2, 4))
    together = network(images.batch([2, 0, 3], [5, 0, 1]))
    alone = [network(images.batch([row], [move]))[0] for row, move in [(2, 5), (0, 0), (3, 1)]]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-12, atol=1e-12)


def test_the_trainee_shares_its_parameters(maps):
    network = SparseClassifier((4, 6), 5, 2, torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 0, 1])
    trainee = Trainee(network, prepare(maps, 16, (2, 4)), classes, torch.Generator().manual_seed(0))
    rows = torch.arange(4)[None, :, None]
    loss = trainee.gradients(rows)
    assert loss.shape == (1,)
    assert trainee.flat.grad.abs().sum() > 0
    with torch.no_grad():
        trainee.flat -= 0.05 * trainee.flat.grad
    first = network.convolutions[0].weight
    torch.testing.assert_close(first.reshape(-1), trainee.flat[: first.numel()])
    descent = []
    for _ in range(40):
        descent.append(float(trainee.gradients(rows)))
        with torch.no_grad():
            trainee.flat -= 0.1 * trainee.flat.grad
    assert np.mean(descent[-10:]) < 0.7 * float(loss)  # the moves are drawn anew each time
