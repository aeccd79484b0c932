"""The names of perturbations: what ``--perturb`` takes, and what scores call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from manifests.errors import UsageError
from trainer.perturb.compand import PRESETS, DynamicRange
from trainer.perturb.perturbation import Perturbation
from trainer.perturb.time_and_pitch import PitchShift, TimeStretch
from trainer.perturb.white_noise import WhiteNoise

ALL: Final = "all"
STANDARD: Final = (
    "time-stretch:1.414",
    "time-stretch:0.707",
    "pitch-shift:+1",
    "pitch-shift:-1",
    "drc:music-standard",
    "drc:speech",
    "white-noise:0.1",
    "white-noise:0.4",
)
"""Those of Won et al. 2020; 1.414 and 0.707 stand for 2^0.5 and 2^-0.5, 0.02 % off."""

LEGAL: Final = (
    "time-stretch:SPEED (0.25 to 4; 2 takes half the time), "
    "pitch-shift:SEMITONES (-12 to +12), "
    + ", ".join(f"drc:{preset}" for preset in PRESETS)
    + ", white-noise:SHARE (of the peak; above 0, below 1)"
)


def _number(text: str, legal: Callable[[float], bool]) -> float:
    value = float(f"{float(text):.12g}")  # as the name will say it
    if not legal(value):
        raise ValueError(text)
    return value


def _preset(text: str) -> str:
    if text not in PRESETS:
        raise ValueError(text)
    return text


_KINDS: Final[dict[str, Callable[[str], Perturbation]]] = {
    "time-stretch": lambda text: TimeStretch(_number(text, lambda speed: 0.25 <= speed <= 4)),
    "pitch-shift": lambda text: PitchShift(_number(text, lambda by: -12 <= by <= 12)),
    "drc": lambda text: DynamicRange(_preset(text)),
    "white-noise": lambda text: WhiteNoise(_number(text, lambda share: 0 < share < 1)),
}


def parse_perturbations(texts: Sequence[str]) -> tuple[Perturbation, ...]:
    """Return perturbations, each once, in the order given.

    Args:
        texts: names, or lists of names joined by commas; ``all`` stands for ``STANDARD``.

    Raises:
        UsageError: a name or value that is none; the message lists the legal ones.
    """
    names = [name.strip() for text in texts for name in text.split(",")]
    named = [one for name in names for one in (STANDARD if name == ALL else (name,))]
    found = [_parse(name) for name in named]
    return tuple({item.name: item for item in found}.values())


def _parse(name: str) -> Perturbation:
    kind, _, value = name.partition(":")
    try:
        return _KINDS[kind](value)
    except (KeyError, ValueError) as error:
        raise UsageError(f"--perturb: expected {ALL}, or names of {LEGAL}, got {name!r}") from error


def is_perturbation(member: str) -> bool:
    """Tell whether a member of a score table is a perturbation: no stored member has a colon."""
    return ":" in member
