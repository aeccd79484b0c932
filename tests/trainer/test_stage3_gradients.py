"""Whom the losses of stage 3 give a gradient, and when the classifier learns from them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_networks import flat, gradients, losses_of, networks
from torch import nn

import trainer.stage3_dat as stage3
from trainer.config import TagConfig
from trainer.models.freeze import freeze
from trainer.runs.distributed import World
from trainer.stage3_dat import set_learning, tagger_optimizer


@pytest.mark.parametrize("form", ["confusion", "entropy"])
def test_other_forms_give_the_classifier_no_gradient_and_no_reversal(form: Any) -> None:
    nets, weight, config = networks(), 0.3, TagConfig(domain_loss=form)
    freeze(nets.domain)
    nets.domain.requires_grad_(True)  # even where it could take one
    losses = losses_of(nets, config, weight)
    found = gradients(nets, losses["loss"])
    assert all(gradient is None for gradient in found["domain"])
    expected = gradients(nets, losses["tag"] + weight * losses["domain"])["encoder"]
    torch.testing.assert_close(flat(found["encoder"]), flat(expected))
    assert flat(gradients(nets, losses["domain"])["encoder"]).norm() > 1e-4


@pytest.mark.parametrize("form", ["confusion", "entropy"])
def test_a_classifier_that_learns_takes_its_own_loss_alone(form: Any) -> None:
    nets, config = networks(), TagConfig(domain_loss=form, freeze=False)
    losses = losses_of(nets, config, 0.3, learns=True)
    found = gradients(nets, losses["loss"])
    own = gradients(nets, losses["classifier"])
    torch.testing.assert_close(flat(found["domain"]), flat(own["domain"]))
    assert all(gradient is None for gradient in own["encoder"])


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_a_refresh_unfreezes_and_refreezes() -> None:
    nets, config = networks(), TagConfig(refresh_every=4, refresh_steps=2, lr=0.01)
    freeze(nets.domain)
    optimizer = tagger_optimizer(nets, config)
    moved = []
    for step in range(8):
        learns = stage3.refreshes(step, config)
        set_learning(nets.domain, learns, World())
        before = snapshot(nets.domain)
        losses = losses_of(nets, config, 0.1, learns=learns)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        changed = {n for n, v in snapshot(nets.domain).items() if not torch.equal(v, before[n])}
        moved.append(len(changed))
        assert nets.domain.training is learns
        assert changed in ({*before}, set()), "all of it or nothing"
    assert [bool(n) for n in moved] == [True, True, False, False] * 2
