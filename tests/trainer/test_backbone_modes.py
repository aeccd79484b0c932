"""Every backbone frozen, and while its statistics are taken anew."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import ALL, sound, tiny
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainer.adabn import average_from_here, only_statistics
from trainer.config import BackboneName
from trainer.models.freeze import freeze, unfreeze


@pytest.mark.parametrize("backbone", ALL)
def test_a_frozen_encoder_does_not_move(backbone: BackboneName) -> None:
    encoder = tiny(backbone)
    with torch.no_grad():
        encoder.train()(sound(encoder, seed=2))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    parent = nn.ModuleList([freeze(encoder)]).train()
    audio = sound(encoder).requires_grad_()
    first, second = parent[0](audio), parent[0](audio)
    assert torch.equal(first, second), "no dropout, no batch statistics"
    first.square().sum().backward()
    assert audio.grad is not None and audio.grad.abs().max() > 0, "gradients pass through"
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in encoder.parameters())
    unfreeze(encoder)(sound(encoder))
    moved = [n for n, v in encoder.state_dict().items() if not torch.equal(v, before[n])]
    assert any("running_mean" in name for name in moved)


@pytest.mark.parametrize("backbone", ALL)
def test_adabn_takes_every_statistic_anew_and_nothing_else(backbone: BackboneName) -> None:
    encoder = tiny(backbone)
    norms = [part for part in encoder.modules() if isinstance(part, _BatchNorm)]
    assert len(norms) >= (7 if backbone == "transformer" else 10)
    for norm in norms:
        nn.init.constant_(norm.running_mean, 9.0)  # type: ignore[arg-type]
    parameters = [parameter.clone() for parameter in encoder.parameters()]
    average_from_here(encoder, forget=True)
    batches = [sound(encoder, seed=n) for n in range(3)]
    heard: list[torch.Tensor] = []
    first = norms[0]
    with torch.no_grad():
        for audio in batches:
            only_statistics(encoder)(audio)
        if backbone != "samplecnn":
            heard = [encoder.mel.decibels(audio) for audio in batches]  # type: ignore[union-attr, operator]
    assert all(norm.running_mean.abs().max() != 9.0 for norm in norms)  # type: ignore[union-attr]
    assert all(norm.num_batches_tracked == 3 for norm in norms)
    if heard:
        expected = torch.stack([decibels.mean() for decibels in heard]).mean()
        torch.testing.assert_close(first.running_mean[0], expected, rtol=1e-5, atol=1e-4)  # type: ignore[index]
    for now, before in zip(encoder.parameters(), parameters, strict=True):
        assert torch.equal(now, before)
    dropouts = [part for part in encoder.modules() if isinstance(part, nn.Dropout)]
    assert not any(part.training for part in dropouts)
    assert bool(dropouts) == (backbone == "transformer")
