"""Gradients of a loss over many batches: exact, and BatchNorm sees every batch once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from trainer.gradient_cache import backward_in_parts
from trainer.losses import nt_xent

N_PARTS, PER_PART = 3, 4


def network(*, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(3)
    layers = nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 4)
    )
    return layers.double()


def audio() -> list[torch.Tensor]:
    drawn = torch.randn(N_PARTS, 2 * PER_PART, 5, generator=torch.Generator().manual_seed(4))
    return list(drawn.double())


def coupled(projections: Sequence[torch.Tensor]) -> torch.Tensor:
    """NT-Xent over all parts, in float64: the loss of the product computes in float32."""
    a, b = (torch.cat(z) for z in zip(*(z.chunk(2) for z in projections), strict=True))
    z = nn.functional.normalize(torch.cat([a, b]), dim=1)
    similarity = (z @ z.T / 0.5).masked_fill(torch.eye(len(z)).bool(), float("-inf"))
    return nn.functional.cross_entropy(similarity, torch.arange(len(z)).roll(len(a)))


def gradients(net: nn.Module) -> list[torch.Tensor]:
    return [p.grad.clone() for p in net.parameters() if p.grad is not None]


def seeded(net: nn.Module) -> Callable[[tuple[int, torch.Tensor]], torch.Tensor]:
    def embed(part: tuple[int, torch.Tensor]) -> torch.Tensor:
        torch.manual_seed(part[0])
        z: torch.Tensor = net(part[1])
        return z

    return embed


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_gradient_is_that_of_one_graph_over_all_parts(dropout: float) -> None:
    parts = list(enumerate(audio()))
    one, split = network(dropout=dropout), network(dropout=dropout)
    loss = coupled([seeded(one)(part) for part in parts])
    loss.backward()
    found = backward_in_parts(parts, seeded(split), coupled, [split])
    assert not found.requires_grad
    torch.testing.assert_close(found, loss.detach())
    for ours, theirs in zip(gradients(split), gradients(one), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)
    for (name, ours), theirs in zip(split.named_buffers(), one.buffers(), strict=True):
        assert torch.equal(ours, theirs), f"{name}: every batch counts once"


def test_without_batch_statistics_it_is_that_of_one_large_batch() -> None:
    one, split = network().eval(), network().eval()
    pairs = [part.chunk(2) for part in audio()]
    large = torch.cat([torch.cat(views) for views in zip(*pairs, strict=True)])
    loss = coupled([one(large)])
    loss.backward()
    found = backward_in_parts(audio(), split, coupled, [split])
    torch.testing.assert_close(found, loss.detach())
    for ours, theirs in zip(gradients(split), gradients(one), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_negatives_come_from_all_parts() -> None:
    """The mean of losses with negatives from each batch alone is another, easier task."""
    net = network().eval()
    found = backward_in_parts(audio(), net, coupled, [net])
    alone = torch.stack([coupled([net(part)]).detach() for part in audio()]).mean()
    assert found > alone + 0.5


def test_one_part_takes_one_forward() -> None:
    one, split = network(), network()
    (part, *_), calls = audio(), list[int]()

    def embed(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        z: torch.Tensor = split(x)
        return z

    def loss_of(z: Sequence[torch.Tensor]) -> torch.Tensor:
        return nt_xent(*z[0].chunk(2))

    found = backward_in_parts([part], embed, loss_of, [split])
    loss = nt_xent(*one(part).chunk(2))
    loss.backward()
    assert calls == [2 * PER_PART] and torch.equal(found, loss.detach())
    for ours, theirs in zip(gradients(split), gradients(one), strict=True):
        assert torch.equal(ours, theirs)


def test_gradients_add_to_those_that_are_there() -> None:
    net, twice = network().eval(), network().eval()
    twice.load_state_dict(copy.deepcopy(net.state_dict()))
    backward_in_parts(audio(), net, coupled, [net])
    for _ in range(2):
        backward_in_parts(audio(), twice, coupled, [twice])
    for single, double in zip(gradients(net), gradients(twice), strict=True):
        torch.testing.assert_close(2 * single, double)
