"""The whole chain: METHOD.md's parameters, independence of examples, reproducibility."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from manifests.errors import ManifestError
from trainer.augment import CLMR, STRONG, AugmentationChain, AugmentConfig
from trainer.augment.chain import ChainDraws

N_SAMPLES = 6000
SMALL = replace(CLMR, reverb=replace(CLMR.reverb, n_responses=4))
ALL_ON = AugmentConfig(
    **{f.name: replace(getattr(SMALL, f.name), probability=1.0) for f in fields(SMALL)}
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n_examples: int) -> torch.Tensor:
    return 0.1 * torch.randn(n_examples, 1, N_SAMPLES, generator=seeded(5))


def take(draws: ChainDraws, rows: torch.Tensor) -> ChainDraws:
    """The decisions of some of the examples."""
    effects = {}
    for effect in fields(draws):
        drawn = getattr(draws, effect.name)
        part = {f.name: getattr(drawn, f.name)[rows] for f in fields(drawn)}
        effects[effect.name] = type(drawn)(**part)
    return ChainDraws(**effects)


def test_probabilities_of_the_two_chains() -> None:
    def probabilities(config: AugmentConfig) -> list[float]:
        return [getattr(config, effect.name).probability for effect in fields(config)]

    assert [effect.name for effect in fields(CLMR)] == [
        "polarity", "noise", "gain", "high_low_pass", "delay", "pitch", "reverb",
    ]  # fmt: skip
    assert probabilities(CLMR) == [0.8, 0.01, 0.3, 0.8, 0.3, 0.6, 0.6]
    assert probabilities(STRONG) == [0.8, 0.3, 0.2, 0.8, 0.5, 0.4, 0.3]
    assert CLMR.noise.ratio == (1e-4, 1e-2) and STRONG.noise.ratio == (0.3, 0.5)
    assert CLMR.pitch.cents == STRONG.pitch.cents == (-700, 700)
    assert CLMR.delay.delays_ms == STRONG.delay.delays_ms == (200, 250, 300, 350, 400, 450)
    assert CLMR.gain.gain_db == (-20.0, -1.0)


def test_drawn_shares_match_the_probabilities() -> None:
    draws = AugmentationChain(CLMR).draw(40_000, seeded())
    for effect in fields(draws):
        share = getattr(draws, effect.name).selected.double().mean()
        expected = getattr(CLMR, effect.name).probability
        assert float(share) == pytest.approx(expected, abs=0.012), effect.name


def test_effects_are_selected_independently() -> None:
    draws = AugmentationChain(CLMR).draw(40_000, seeded(1))
    names = ["polarity", "gain", "high_low_pass", "delay", "pitch", "reverb"]
    chosen = torch.stack([getattr(draws, name).selected.double() for name in names])
    off_diagonal = torch.corrcoef(chosen) - torch.eye(len(names))
    assert off_diagonal.abs().max() < 0.025


def test_each_example_depends_on_its_own_draws_only() -> None:
    chain = AugmentationChain(ALL_ON)
    audio = batch(6)
    draws = chain.draw(6, seeded(2))
    together = chain.apply(audio, draws)
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(
        chain.apply(audio[rows], take(draws, rows)), together[rows], rtol=1e-4, atol=1e-6
    )
    other = audio.clone()
    other[0] = 10.0
    torch.testing.assert_close(chain.apply(other, draws)[1:], together[1:], rtol=1e-4, atol=1e-6)


def test_order_of_effects() -> None:
    """Each effect applied by itself, in CLMR's order, gives what the chain gives."""
    chain = AugmentationChain(ALL_ON)
    draws = chain.draw(3, seeded(3))
    audio = batch(3)
    expected = audio
    for name in ("polarity", "noise", "gain", "high_low_pass", "delay", "pitch", "reverb"):
        before = expected
        expected = getattr(ALL_ON, name).apply(expected, getattr(draws, name))
        assert not torch.equal(expected, before), name
    torch.testing.assert_close(chain.apply(audio, draws), expected)


def test_same_seed_same_sound() -> None:
    chain = AugmentationChain(SMALL)
    audio = batch(8)
    before = audio.clone()
    first = chain(audio, seeded(7))
    assert torch.equal(audio, before), "the input is not changed"
    assert torch.equal(chain(audio, seeded(7)), first)
    assert not torch.equal(chain(audio, seeded(8)), first)
    assert first.shape == audio.shape and torch.isfinite(first).all()


def test_two_views_differ() -> None:
    chain, generator = AugmentationChain(SMALL), seeded(9)
    audio = batch(8)
    assert not torch.equal(chain(audio, generator), chain(audio, generator))


def test_silence_and_extremes_stay_finite() -> None:
    audio = torch.zeros(4, 1, N_SAMPLES)
    audio[1] = 1.0
    audio[2, 0, ::2] = 1.0
    audio[3] = 1e-30
    heard = AugmentationChain(ALL_ON)(audio, seeded(4))
    assert torch.isfinite(heard).all()
    assert heard[0].abs().max() == 0


def test_nothing_on_changes_nothing() -> None:
    off = AugmentConfig(
        **{f.name: replace(getattr(SMALL, f.name), probability=0.0) for f in fields(SMALL)}
    )
    audio = batch(3)
    assert torch.equal(AugmentationChain(off)(audio, seeded()), audio)


def test_no_gradient_is_recorded() -> None:
    audio = batch(2).requires_grad_()
    assert not AugmentationChain(ALL_ON)(audio, seeded()).requires_grad


@pytest.mark.parametrize("shape", [(2, N_SAMPLES), (2, 2, N_SAMPLES)])
def test_mono_chunks_only(shape: tuple[int, ...]) -> None:
    with pytest.raises(ManifestError, match=r"expected shape \(batch, 1, samples\), got \(2,"):
        AugmentationChain(SMALL)(torch.zeros(shape), seeded())
