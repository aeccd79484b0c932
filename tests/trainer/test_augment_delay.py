"""Delay: where the echo is and how large."""

from __future__ import annotations

import pytest
import torch

from manifests.errors import UsageError
from trainer.augment.delay import Delay, DelayDraws

DELAYS_MS = (200, 250, 300, 350, 400, 450)
EFFECT = Delay(0.3, DELAYS_MS)


def test_impulse_has_one_echo_at_each_delay() -> None:
    audio = torch.zeros(6, 1, 15_000)
    audio[:, 0, 100] = 1.0
    draws = DelayDraws(torch.ones(6, dtype=torch.bool), torch.tensor(DELAYS_MS))
    delayed = EFFECT.apply(audio, draws)
    for row, offset in enumerate([4410, 5512, 6615, 7717, 8820, 9922]):  # rounded down at 22,050 Hz
        assert delayed[row, 0].nonzero().squeeze(1).tolist() == [100, 100 + offset]
        assert delayed[row, 0, 100] == 0.5
        assert delayed[row, 0, 100 + offset] == 0.25


def test_the_start_is_not_wrapped_around() -> None:
    audio = torch.ones(1, 1, 10_000)
    draws = DelayDraws(torch.tensor([True]), torch.tensor([200]))
    delayed = EFFECT.apply(audio, draws)[0, 0]
    assert (delayed[:4410] == 0.5).all() and (delayed[4410:] == 0.75).all()


def test_a_delay_longer_than_the_audio_only_halves() -> None:
    audio = torch.ones(1, 1, 1000)
    draws = DelayDraws(torch.tensor([True]), torch.tensor([450]))
    assert torch.equal(EFFECT.apply(audio, draws), audio / 2)


def test_other_examples_are_left_alone() -> None:
    audio = torch.randn(2, 1, 9000)
    draws = DelayDraws(torch.tensor([False, True]), torch.tensor([200, 200]))
    assert torch.equal(EFFECT.apply(audio, draws)[0], audio[0])


def test_draws() -> None:
    draws = EFFECT.draw(12_000, torch.Generator().manual_seed(1))
    assert float(draws.selected.double().mean()) == pytest.approx(0.3, abs=0.02)
    values, counts = draws.delay_ms.unique(return_counts=True)
    assert tuple(values.tolist()) == DELAYS_MS
    assert counts.min() > 1800


@pytest.mark.parametrize("delays_ms", [(), (100, -1)])
def test_bad_delays(delays_ms: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="delay: expected one or more delays of at least 0 ms"):
        Delay(0.3, delays_ms)
