"""Published tensors into modules."""

import pytest
import torch
from torch import nn

from stfmkit.errors import InputError
from stfmkit.models.nets.state import draw_state, fuse_qkv, load_state, renamed


def test_rules_apply_in_turn() -> None:
    state = {"bert.a.weight": torch.ones(1), "head.weight": torch.ones(1)}
    found = renamed(state, ((r"^bert\.", ""), (r"^a\.", "b.")), ignore=(r"^head\.",))
    assert set(found) == {"b.weight"}


def test_query_key_and_value_become_one() -> None:
    state = {
        f"l.{i}.{w}.{k}": torch.full((2, 2) if k == "weight" else (2,), float(j))
        for i in (0, 1)
        for j, w in enumerate(("query", "key", "value"))
        for k in ("weight", "bias")
    }
    fused = fuse_qkv(state, r"l\.(?P<layer>\d)\.(?P<which>query|key|value)\.(?P<kind>\w+)", "m.{layer}.in_{kind}")
    assert set(fused) == {"m.0.in_weight", "m.0.in_bias", "m.1.in_weight", "m.1.in_bias"}
    torch.testing.assert_close(fused["m.1.in_bias"], torch.tensor([0.0, 0, 1, 1, 2, 2]))
    assert (
        fuse_qkv({"l.0.query.weight": torch.ones(1)}, r"l\.(?P<layer>\d)\.(?P<which>query)\.(?P<kind>\w+)", "x") == {}
    )


def test_half_precision_is_widened() -> None:
    module = nn.Linear(2, 1)
    load_state(module, {"weight": torch.ones(1, 2, dtype=torch.float16), "bias": torch.zeros(1)}, what="m")
    assert module.weight.dtype == torch.float32


def test_the_module_takes_the_tensors_themselves() -> None:
    with torch.device("meta"):
        module = nn.Linear(2, 1)
    weight = torch.ones(1, 2)
    load_state(module, {"weight": weight, "bias": torch.zeros(1, 2)[:, 0]}, what="m")
    assert module.weight.data_ptr() == weight.data_ptr()
    assert module.bias.is_contiguous()
    torch.testing.assert_close(module(torch.ones(1, 2)), torch.full((1, 1), 2.0))


@pytest.mark.parametrize("values", [[1.0, float("nan")], [float("inf"), float("-inf")], [1.0, float("inf")]])
def test_weights_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(InputError, match="NaN or infinite weights in the checkpoint of 'm': 'weight'"):
        load_state(nn.Linear(2, 1), {"weight": torch.tensor([values]), "bias": torch.zeros(1)}, what="m")


def test_large_weights_whose_sum_overflows_are_finite() -> None:
    module = nn.Linear(2, 1)
    load_state(module, {"weight": torch.full((1, 2), 3e38), "bias": torch.zeros(1)}, what="m")
    assert module.weight.max() > 2e38


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"1 missing \('bias'\); 1 not known \('more'\); 1 of another shape") as found:
        load_state(nn.Linear(2, 1), {"weight": torch.ones(2, 2), "more": torch.ones(1)}, what="m")
    assert "weight: (2, 2) instead of (1, 2)" in str(found.value)


def test_random_weights_follow_from_the_seed_and_the_name() -> None:
    first, second, other = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)
    draw_state(first, seed=1)
    draw_state(nn.Linear(9, 9), seed=1)
    draw_state(second, seed=1)
    draw_state(other, seed=2)
    torch.testing.assert_close(first.weight, second.weight, atol=0, rtol=0)
    assert not torch.equal(first.weight, other.weight)
    assert (first.bias == 0).all()
    norm = nn.LayerNorm(3)
    draw_state(norm, seed=0)
    assert (norm.weight == 1).all()
