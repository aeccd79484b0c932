"""Polarity, gain, noise, and the selection that all effects share."""

from __future__ import annotations

import math

import pytest
import torch

from manifests.errors import UsageError
from trainer.augment.selection import draw_selected, draw_uniform, transform_selected
from trainer.augment.simple import (
    Gain,
    GainDraws,
    Noise,
    NoiseDraws,
    Polarity,
    PolarityDraws,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n_examples: int, n_samples: int = 1000) -> torch.Tensor:
    return torch.randn(n_examples, 1, n_samples, generator=generator(99))


def test_polarity() -> None:
    audio = batch(3)
    turned = Polarity(0.8).apply(audio, PolarityDraws(torch.tensor([True, False, True])))
    assert torch.equal(turned, audio * torch.tensor([-1.0, 1.0, -1.0])[:, None, None])


def test_gain_is_exact() -> None:
    audio = batch(4)
    draws = GainDraws(
        torch.tensor([True, True, True, False]), torch.tensor([-20.0, -6.0, -1.0, -9.0])
    )
    scaled = Gain(0.3, (-20.0, -1.0)).apply(audio, draws)
    ratio_db = 20 * torch.log10(scaled[:, 0, 0] / audio[:, 0, 0])
    torch.testing.assert_close(ratio_db, torch.tensor([-20.0, -6.0, -1.0, 0.0]), rtol=0, atol=1e-5)
    assert torch.equal(scaled[3], audio[3])


def test_noise_has_the_ratio_drawn() -> None:
    audio = torch.cat([batch(3, 100_000), torch.zeros(1, 1, 100_000)])
    audio[1] *= 0.01
    ratio = torch.tensor([0.3, 0.01, 0.5, 0.5])
    draws = NoiseDraws(torch.tensor([True, True, False, True]), ratio, torch.tensor([5, 5, 7, 9]))
    added = Noise(0.3, (0.3, 0.5)).apply(audio, draws) - audio
    found = added.std(dim=2).squeeze(1) / audio.std(dim=2).squeeze(1)
    torch.testing.assert_close(found[:2], ratio[:2], rtol=0.02, atol=0)
    assert added[2].abs().max() == 0 and added[3].abs().max() == 0
    # White and Gaussian: neighbouring samples uncorrelated, kurtosis 3.
    white = added[0, 0] / added[0, 0].std()
    assert abs(float((white[1:] * white[:-1]).mean())) < 0.02
    assert float(white.pow(4).mean()) == pytest.approx(3.0, abs=0.1)
    # The seed is the noise: rows 0 and 1 have the same one at other levels.
    torch.testing.assert_close(added[1, 0] / added[1].std(), white, rtol=1e-3, atol=1e-3)


def test_draws_stay_within_their_ranges_and_fill_them() -> None:
    gain_db = Gain(0.3, (-20.0, -1.0)).draw(20_000, generator()).gain_db
    assert -20 <= gain_db.min() < -19.9 and -1.1 < gain_db.max() <= -1
    assert float(gain_db.mean()) == pytest.approx(-10.5, abs=0.2)
    noise = Noise(0.3, (0.3, 0.5)).draw(20_000, generator())
    assert noise.ratio.min() >= 0.3 and noise.ratio.max() <= 0.5
    assert len(noise.seed.unique()) == 20_000


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 0.8, 1.0])
def test_selection_has_its_probability(probability: float) -> None:
    share = draw_selected(probability, 100_000, generator(3)).double().mean()
    four_sigma = 4 * math.sqrt(probability * (1 - probability) / 100_000)
    assert float(share) == pytest.approx(probability, abs=four_sigma + 1e-12)


def test_draws_repeat_with_the_seed() -> None:
    first, again = (draw_uniform((2.0, 3.0), 50, generator(4)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw_uniform((2.0, 3.0), 50, generator(5)))


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_selection_needs_a_probability(probability: float) -> None:
    with pytest.raises(UsageError, match=f"probability: expected 0 to 1, got {probability}"):
        draw_selected(probability, 3, generator())


def test_transform_touches_only_the_selected_and_not_the_input() -> None:
    audio = batch(4)
    before = audio.clone()
    seen = []

    def double(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        seen.append(indices.tolist())
        return 2 * chosen

    result = transform_selected(audio, torch.tensor([False, True, False, True]), double)
    assert seen == [[1, 3]]
    assert torch.equal(audio, before)
    assert torch.equal(result[[0, 2]], audio[[0, 2]])
    assert torch.equal(result[[1, 3]], 2 * audio[[1, 3]])


def test_what_is_not_finite_keeps_its_input() -> None:
    audio = batch(3)

    def spoil(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        spoilt = 2 * chosen
        spoilt[0, 17] = math.nan
        spoilt[1, 500] = math.inf
        return spoilt

    result = transform_selected(audio, torch.ones(3, dtype=torch.bool), spoil)
    assert torch.equal(result[:2], audio[:2])
    assert torch.equal(result[2], 2 * audio[2])


def test_nothing_selected_costs_nothing() -> None:
    audio = batch(2)

    def fail(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        raise AssertionError("called for no example")

    assert transform_selected(audio, torch.zeros(2, dtype=torch.bool), fail) is audio
