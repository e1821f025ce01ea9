"""Differences between machines that a model must not show."""

from torch import nn

from fairseq_gist.host.modules import use_plain_layer_norms
from fairseq_gist.surgery.units import find_units


class FusedLayerNorm(nn.Module):
    """As apex's: the same parameters under the same names, and another class."""

    def __init__(self, size):
        super().__init__()
        norm = nn.LayerNorm(size, eps=1e-3)
        self.weight, self.bias = norm.weight, norm.bias
        self.normalized_shape, self.eps = norm.normalized_shape, norm.eps


def test_fused_norms_become_units():
    model = nn.Sequential(nn.Linear(2, 2), FusedLayerNorm(2))
    before = dict(model.named_parameters())
    assert list(find_units(model)) == ["0"]
    use_plain_layer_norms(model)
    assert list(find_units(model)) == ["0", "1"]
    assert model[1].eps == 1e-3
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
