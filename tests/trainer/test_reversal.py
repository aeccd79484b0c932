"""Sign and size of the reversed gradient (METHOD.md section 4, pitfalls 1 and 7)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainer.losses import domain_loss
from trainer.models.freeze import freeze
from trainer.models.heads import DomainClassifier
from trainer.models.reversal import reverse_gradient


def encoder_gradients(weight: float | torch.Tensor | None, frozen: bool) -> list[torch.Tensor]:
    """Gradients of the encoder and, unless frozen, of the classifier; None does not reverse."""
    torch.manual_seed(11)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
    classifier = DomainClassifier(8, (5,))
    if frozen:
        freeze(classifier)
    audio = torch.randn(7, 6)
    h = encoder(audio)
    if weight is not None:
        h = reverse_gradient(h, weight)
    source, target = classifier(h).split([4, 3])
    domain_loss(source, target).backward()
    parts = [encoder] if frozen else [encoder, classifier]
    return [p.grad for part in parts for p in part.parameters() if p.grad is not None]


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("weight", [0.05, 1.0, torch.tensor(0.3)])
def test_encoder_gradient_is_minus_weight_times_the_unreversed(
    weight: float | torch.Tensor, frozen: bool
) -> None:
    plain = encoder_gradients(None, frozen)
    reversed_ = encoder_gradients(weight, frozen)
    assert len(plain) == len(reversed_) == (2 if frozen else 8)
    for before, after in zip(plain[:2], reversed_[:2], strict=True):
        assert before.abs().max() > 0
        torch.testing.assert_close(after, -float(weight) * before)
    for before, after in zip(plain[2:], reversed_[2:], strict=True):  # the classifier's own
        torch.testing.assert_close(after, before)


def test_a_step_of_the_encoder_raises_the_classifiers_loss() -> None:
    torch.manual_seed(2)
    encoder, classifier = nn.Linear(6, 8), freeze(DomainClassifier(8, (5,)))
    audio = torch.randn(8, 6)

    def loss() -> torch.Tensor:
        logits = classifier(reverse_gradient(encoder(audio), 1.0))
        return domain_loss(*logits.split(4))

    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.01)
    before = loss()
    before.backward()
    optimizer.step()
    assert loss() > before


@given(weight=st.floats(0, 10, allow_nan=False), n_rows=st.integers(1, 5))
def test_forward_is_the_identity(weight: float, n_rows: int) -> None:
    x = torch.randn(n_rows, 3, requires_grad=True)
    y = reverse_gradient(x, weight)
    assert torch.equal(y, x)
    assert y.grad_fn is not None


def test_weight_zero_stops_the_gradient() -> None:
    assert all(g.abs().max() == 0 for g in encoder_gradients(0.0, frozen=True))


def test_weight_tensor_takes_no_gradient() -> None:
    weight = torch.tensor(0.5, requires_grad=True)
    x = torch.ones(2, requires_grad=True)
    reverse_gradient(x, weight).sum().backward()
    assert weight.grad is None
    assert x.grad is not None and torch.equal(x.grad, torch.full((2,), -0.5))
