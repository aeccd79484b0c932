"""A frozen network does not move, whoever calls train() on it (METHOD.md section 4, pitfall 2)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from trainer.models.freeze import freeze, unfreeze
from trainer.models.heads import DomainClassifier
from trainer.models.reversal import reverse_gradient


class Nets(nn.Module):
    """An encoder and a classifier under one parent, as a stage holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.domain = DomainClassifier(8, (4,), dropout=0.5)


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def train_steps(nets: Nets, n_steps: int) -> None:
    trainable = [p for p in nets.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=0.1, weight_decay=0.1)
    for _ in range(n_steps):
        nets.train()  # as every epoch does
        nets.domain.train(True)
        for part in nets.domain.modules():
            part.train()
        loss = nets.domain(reverse_gradient(nets.encoder(torch.randn(5, 6)), 1.0)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_frozen_classifier_is_bit_identical_after_steps() -> None:
    torch.manual_seed(1)
    nets = Nets()
    train_steps(nets, 2)  # so that its buffers are not at their initial values
    assert freeze(nets.domain) is nets.domain
    before, encoder_before = snapshot(nets.domain), snapshot(nets.encoder)
    train_steps(nets, 5)
    for name, value in snapshot(nets.domain).items():
        assert torch.equal(value, before[name]), name
    assert nets.encoder.training and not nets.domain.layers[1].training
    assert not torch.equal(nets.encoder[0].weight, encoder_before["0.weight"])
    assert not torch.equal(nets.encoder[1].running_mean, encoder_before["1.running_mean"])


def test_an_unfrozen_classifier_would_have_moved() -> None:
    """The same steps move buffers when only requires_grad is off: the test above can fail."""
    torch.manual_seed(1)
    nets = Nets()
    nets.domain.requires_grad_(False)
    before = snapshot(nets.domain)
    train_steps(nets, 1)
    assert not torch.equal(
        nets.domain.state_dict()["layers.1.running_mean"], before["layers.1.running_mean"]
    )


def test_gradient_passes_through() -> None:
    classifier = freeze(DomainClassifier(8, (4,)))
    embedding = torch.randn(3, 8, requires_grad=True)
    classifier(embedding).sum().backward()
    assert embedding.grad is not None and embedding.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_frozen_encoder_keeps_its_statistics() -> None:
    nets = Nets()
    freeze(nets.encoder)
    before = snapshot(nets.encoder)
    nets.train()
    with torch.no_grad():
        nets.encoder(torch.randn(16, 6) + 5)
    assert all(torch.equal(value, before[name]) for name, value in snapshot(nets.encoder).items())


def test_unfreeze_undoes_it() -> None:
    classifier = unfreeze(freeze(DomainClassifier(8, (4,))))
    assert all(part.training for part in classifier.modules())
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    assert not classifier.eval().training
    before = snapshot(classifier)
    classifier.train()(torch.randn(5, 8))
    assert not torch.equal(classifier.layers[1].running_mean, before["layers.1.running_mean"])


def test_unfreeze_of_what_was_never_frozen() -> None:
    assert unfreeze(nn.Linear(2, 2).eval()).training


@pytest.mark.parametrize("times", [1, 2])
def test_copies_are_frozen_too_and_on_their_own(times: int) -> None:
    original = DomainClassifier(8, (4,))
    for _ in range(times):
        freeze(original)
    duplicate = copy.deepcopy(original)
    assert not duplicate.train().training
    unfreeze(duplicate)
    assert duplicate.training and not original.train().training
