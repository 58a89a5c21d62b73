"""Listening to layers: outputs as they left the layer, whatever the network does to them afterwards."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from odkit.nets.hooks import listening, pooled  # noqa: E402


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.alias = self.conv

    def forward(self, x):
        out = self.conv(x)
        out += x
        return torch.relu_(out)


@pytest.mark.parametrize(
    ("net", "layer", "first"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3)), "0", 1),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)), "1", 2),
        (Block(), "conv", None),
    ],
)
def test_what_comes_behind_a_layer_cannot_write_into_its_level(net, layer, first):
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), listening(net, [layer]) as outputs:
        net(x.clone())
    net.eval()
    expected = net.conv(x) if first is None else net[:first](x)
    level = pooled(layer, outputs, None)
    torch.testing.assert_close(level, expected)
    assert level.min() < 0


def test_a_submodule_may_have_two_names():
    net, x = Block(), torch.randn(2, 3, 4, 4)
    with torch.no_grad(), listening(net, ["alias", "conv"]) as outputs:
        net(x)
    torch.testing.assert_close(outputs["alias"], outputs["conv"])
    with pytest.raises(ValueError, match=r"no layer 'con'.*it has conv, alias"), listening(net, ["con"]):
        pass


def test_one_block_may_stand_in_another():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    with listening(net, ["0"]):
        with listening(net, ["1"]):
            pass
        assert not net.training
    assert net.training
    assert not any(module._forward_hooks for module in net)
