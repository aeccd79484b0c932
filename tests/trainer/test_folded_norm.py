"""The folded BatchNorm against torch's own behind the same linear map."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainer.models.folded_norm import folded

N, CHANNELS = 4_000, 7


def layer(seed: int, momentum: float | None = 0.1) -> tuple[nn.Linear, nn.BatchNorm1d]:
    """A map and a norm away from its initial state, one channel upside down."""
    torch.manual_seed(seed)
    linear, norm = nn.Linear(3, CHANNELS).double(), nn.BatchNorm1d(CHANNELS, momentum=momentum)
    norm = norm.double()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)
        norm.weight[0] = -1.5
        norm.bias.uniform_(-1, 1)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return linear, norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_equals_torch_in_output_gradients_and_statistics(
    training: bool, momentum: float | None
) -> None:
    linear, norm = layer(1, momentum)
    linear_2, norm_2 = copy.deepcopy(linear), copy.deepcopy(norm)
    weights = torch.randn(N, CHANNELS, dtype=torch.float64)
    for modules in ((linear, norm), (linear_2, norm_2)):
        for module in modules:
            module.train(training)
    inputs, outputs = [], []
    for batch in range(2):  # twice: without momentum the second batch weighs a half
        torch.manual_seed(batch)
        triples = torch.randn(N, 3, dtype=torch.float64) * 0.3 + batch
        inputs = [triples.clone().requires_grad_(), triples.clone().requires_grad_()]
        outputs = [
            norm(linear(inputs[0])),
            F.linear(inputs[1], *folded(inputs[1], linear_2.weight, linear_2.bias, norm_2)),
        ]
        for output in outputs:
            (output * weights).square().sum().backward()
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-8, atol=1e-8)
    for ours, theirs in ((linear_2, linear), (norm_2, norm)):
        for (name, expected), found in zip(
            theirs.named_parameters(), ours.parameters(), strict=True
        ):
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-8, atol=1e-6, msg=name)
        for (name, buffer), kept in zip(theirs.named_buffers(), ours.buffers(), strict=True):
            torch.testing.assert_close(kept, buffer, rtol=1e-12, atol=1e-12, msg=name)


def test_the_bias_in_front_has_no_gradient_in_training() -> None:
    linear, norm = layer(2)
    triples = torch.randn(N, 3, dtype=torch.float64)
    output = F.linear(triples, *folded(triples, linear.weight, linear.bias, norm))
    output.square().sum().backward()
    assert linear.bias.grad is not None and linear.weight.grad is not None
    assert linear.bias.grad.abs().max() <= 1e-9 * linear.weight.grad.abs().max()


def test_the_difference_of_almost_equal_samples_keeps_its_variance() -> None:
    """A low tone on an offset: its second difference is a millionth of it, in float32."""
    samples = 0.9 + 0.1 * torch.sin(torch.arange(3 * N) * (2 * math.pi * 30 / 22_050))
    triples = samples.float().view(-1, 3)
    weight, norm = torch.tensor([[1.0, -2.0, 1.0]]), nn.BatchNorm1d(1, momentum=1.0)
    folded(triples, weight, torch.zeros(1), norm)
    exact = float((triples.double() @ weight.double().T).var())
    assert 0 < exact < 1e-9
    assert norm.running_var is not None
    assert float(norm.running_var) == pytest.approx(exact, rel=1e-4)


def test_autocast_leaves_the_statistics_alone() -> None:
    linear, norm = layer(3)
    linear, norm, norm_2 = linear.float(), norm.float(), copy.deepcopy(norm).float()
    triples = torch.randn(N, 3)
    plain = folded(triples, linear.weight, linear.bias, norm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = folded(triples, linear.weight, linear.bias, norm_2)
    for one, other in zip((*plain, *norm.buffers()), (*cast, *norm_2.buffers()), strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
