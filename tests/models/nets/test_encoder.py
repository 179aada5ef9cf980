"""The shared transformer against that of torch."""

import pytest
import torch
from tests.models.zoo._parity import assert_parity
from torch import nn

from stfmkit.errors import InputError
from stfmkit.models.nets.encoder import Encoder


def peers(activation: str, eps: float) -> tuple[Encoder, nn.TransformerEncoder]:
    layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, activation, eps, batch_first=True)
    peer = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    draw = torch.Generator().manual_seed(1)
    for parameter in peer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    ours = Encoder(3, 12, 3, 20, activation=activation, eps=eps)
    ours.load_state_dict(peer.state_dict())
    return ours.eval(), peer


@pytest.mark.parametrize(("activation", "eps"), [("relu", 1e-5), ("gelu", 1e-12)])
@torch.inference_mode()
def test_it_equals_torch_with_padding_and_bias(activation: str, eps: float) -> None:
    ours, peer = peers(activation, eps)
    draw = torch.Generator().manual_seed(2)
    x = torch.randn((4, 7, 12), generator=draw)
    keep = torch.arange(7)[None] < torch.tensor([7, 3, 5, 1])[:, None]
    assert_parity(ours(x, keep=keep)[keep], peer(x, src_key_padding_mask=~keep)[keep])
    bias = torch.randn((1, 1, 7, 7), generator=draw)
    assert_parity(ours(x, bias=bias), peer(x, mask=bias[0, 0]))
    both = ours(x, keep=keep, bias=bias)
    wanted = peer(x, mask=bias[0, 0], src_key_padding_mask=torch.zeros(keep.shape).masked_fill(~keep, -torch.inf))
    assert_parity(both[keep], wanted[keep])


@torch.inference_mode()
def test_states_of_every_layer_and_of_the_first_few() -> None:
    ours, _ = peers("relu", 1e-5)
    x = torch.randn((2, 4, 12), generator=torch.Generator().manual_seed(3))
    states = ours.states(x)
    assert len(states) == 4
    assert states[0] is x
    torch.testing.assert_close(ours(x, layers=2), states[2])
    torch.testing.assert_close(ours(x, layers=0), x)


@torch.inference_mode()
def test_an_observation_without_a_token_has_no_nan() -> None:
    ours, _ = peers("relu", 1e-5)
    keep = torch.tensor([[True, True], [False, False]])
    for bias in (None, torch.zeros(1, 1, 2, 2)):
        assert torch.isfinite(ours(torch.ones(2, 2, 12), keep=keep, bias=bias)).all()


@torch.inference_mode()
def test_states_that_nobody_asks_for_are_left_out() -> None:
    ours, _ = peers("relu", 1e-5)
    draw = torch.Generator().manual_seed(4)
    x, bias = torch.randn((3, 6, 12), generator=draw), torch.randn((3, 1, 6, 6), generator=draw)
    keep = torch.arange(6)[None] < torch.tensor([4, 3, 1])[:, None]  # nothing attends to the last two tokens
    for given in ({}, {"keep": keep}, {"bias": bias}, {"keep": keep, "bias": bias}):
        whole = ours.states(x, **given)
        for layers, queries in ((3, 1), (1, 2), (0, 1)):
            found = ours(x, layers=layers, queries=queries, **given)
            assert_parity(found, whole[layers][:, :queries])


@pytest.mark.parametrize(("width", "heads"), [(12, 5), (2, 4), (8, 0)])
def test_a_width_that_heads_cannot_share(width: int, heads: int) -> None:
    with pytest.raises(InputError, match=f"a width of {width} for {heads} attention heads"):
        Encoder(1, width, heads, 8)
