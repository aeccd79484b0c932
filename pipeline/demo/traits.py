"""What a demo song is like, and the tags that can therefore be heard in it.

A song's tags are a function of its traits and the traits alone shape the sound, so every tag is
true. The traits of a group of songs are dealt like cards: every split gets its share of every
value, and one trait says little about another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

INSTRUMENTS: Final = ("guitar", "piano", "strings", "flute", "harpsichord", "synth", "sitar")
STYLES: Final = ("plain", "drums", "techno", "ambient", "indian")
TEMPI: Final = ("slow", "medium", "fast")
DYNAMICS: Final = ("quiet", "medium", "loud")
VOICES: Final = ("none", "male", "female", "choir")


@dataclass(frozen=True)
class Traits:
    """What is heard in a song.

    Attributes:
        instruments: one or two of ``INSTRUMENTS``, or ``bells``.
        style: ``plain``, ``drums`` (acoustic kit), ``techno`` (four on the floor), ``ambient``
            (swelling pad, long reverberation) or ``indian`` (drone and tabla).
        tempo: ``slow``, ``medium`` or ``fast``.
        dynamics: ``quiet`` (soft attacks, dull, sparse), ``medium`` or ``loud`` (dense, driven).
        voice: ``none``, ``male``, ``female`` or ``choir``.
    """

    instruments: tuple[str, ...]
    style: str = "plain"
    tempo: str = "medium"
    dynamics: str = "medium"
    voice: str = "none"


BELLS: Final = Traits(("bells",))
"""A song in which none of MTAT's fifty most frequent tags is heard."""


def mtat_tags(traits: Traits) -> tuple[str, ...]:
    """Return the tags of a song by MagnaTagATune's own names, sorted."""
    tags = set(traits.instruments)
    if traits.style in ("drums", "techno", "ambient", "indian"):
        tags.add(traits.style)
    if traits.style == "techno" or "synth" in tags:
        tags.add("electronic")
    tags |= {traits.tempo, traits.dynamics} - {"medium"}
    if traits.voice in ("male", "female"):
        tags |= {"vocal", traits.voice}
    elif traits.voice == "choir":
        tags.add("choir")
    return tuple(sorted(tags))


def _deal(values: Sequence[str], weights: Sequence[float], n: int) -> list[str]:
    """Return n values in the given proportions, by largest remainder."""
    quota = np.asarray(weights) / sum(weights) * n
    counts = np.floor(quota).astype(int)
    for i in np.argsort(counts - quota, kind="stable")[: n - int(counts.sum())]:
        counts[i] += 1
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _shuffled(values: list[str], rng: np.random.Generator) -> list[str]:
    return [values[i] for i in rng.permutation(len(values))]


def _clashes(song: Traits) -> bool:
    """Say whether a song contradicts itself: a racing pad, a whispering dance floor."""
    return (song.style == "ambient" and (song.tempo == "fast" or song.dynamics == "loud")) or (
        song.style == "techno" and (song.tempo == "slow" or song.dynamics == "quiet")
    )


def _exchanges(a: Traits, b: Traits) -> Iterator[tuple[Traits, Traits]]:
    """Yield the pairs that two songs become when they exchange tempo, dynamics or both."""
    for names in (("tempo",), ("dynamics",), ("tempo", "dynamics")):
        yield (
            replace(a, **{name: getattr(b, name) for name in names}),
            replace(b, **{name: getattr(a, name) for name in names}),
        )


def _settle(songs: list[Traits], rng: np.random.Generator) -> None:
    """Exchange tempo and dynamics between songs until none clashes; the shares stay as dealt."""
    for i in range(len(songs)):
        for j in rng.permutation(len(songs)):
            if not _clashes(songs[i]):
                break
            for a, b in _exchanges(songs[i], songs[j]):
                if not _clashes(a) and not _clashes(b):
                    songs[i], songs[j] = a, b
                    break


def deal_traits(n: int, rng: np.random.Generator) -> tuple[Traits, ...]:
    """Deal the traits of n songs.

    Songs without a voice have two instruments, the others one. Ten songs are enough for every
    value of every trait to occur twice.

    Args:
        n: number of songs.
        rng: generator that shuffles the cards.

    Returns:
        The traits, in random order.
    """
    styles = _shuffled(_deal(STYLES, (1, 1, 1, 1, 1), n), rng)
    tempi = _shuffled(_deal(TEMPI, (4, 2, 4), n), rng)
    dynamics = _shuffled(_deal(DYNAMICS, (3, 4, 3), n), rng)
    voices = _shuffled(_deal(VOICES, (4, 2, 2, 2), n), rng)
    hands = _deal(INSTRUMENTS, (1,) * len(INSTRUMENTS), n + voices.count("none"))
    hands = _shuffled(hands, rng)
    leads, others = hands[:n], hands[n:]
    songs = []
    for lead, style, tempo, level, voice in zip(
        leads, styles, tempi, dynamics, voices, strict=True
    ):
        band: tuple[str, ...] = (lead,)
        other = next((name for name in others if name != lead), None)
        if voice == "none" and other is not None:
            others.remove(other)
            band = (lead, other)
        songs.append(Traits(band, style, tempo, level, voice))
    _settle(songs, rng)
    return tuple(songs)
