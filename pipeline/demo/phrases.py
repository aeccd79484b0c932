"""Notes of a demo song: scale, chords, rhythm and the way in which each instrument plays them.

Tempo is heard as notes per second: about one in slow songs, three in medium, seven in fast ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.demo.traits import Traits

_SCALES: Final = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "bhairav": (0, 1, 4, 5, 7, 8, 11),
}
_PROGRESSIONS: Final = ((0, 5, 3, 4), (0, 3, 4, 0), (0, 4, 5, 3), (0, 2, 3, 4))
_BPM: Final = {
    "slow": (52.0, 64.0), "medium": (92.0, 108.0), "dance": (118.0, 126.0),
    "fast": (150.0, 172.0),
}  # fmt: skip
_STEPS_BEATS: Final = {
    "slow": (1.0, 1.0, 2.0), "medium": (0.5, 0.5, 1.0), "fast": (0.25, 0.25, 0.5, 0.5),
}  # fmt: skip

REGISTER_HZ: Final = {
    "guitar": (105.0, 420.0), "piano": (320.0, 1400.0), "strings": (200.0, 800.0),
    "flute": (520.0, 1350.0), "harpsichord": (240.0, 950.0), "synth": (130.0, 530.0),
    "sitar": (190.0, 580.0), "bells": (500.0, 1500.0),
    "male": (105.0, 215.0), "female": (270.0, 560.0), "choir": (150.0, 480.0),
}  # fmt: skip
"""Lowest and highest pitch that each part plays, Hz."""

_CHORD_REGISTER_HZ: Final = {"piano": (65.0, 260.0)}
"""The same for chords, where they lie elsewhere: a pianist's left hand."""

_SUSTAINED: Final = frozenset({"strings", "choir", "flute", "male", "female"})


@dataclass(frozen=True)
class Song:
    """What all clips of a song share.

    Attributes:
        bpm: beats per minute.
        root_hz: the tonic, 110 to 208 Hz.
        scale: semitones above the tonic.
        progression: scale degree of the chord of each bar.
    """

    bpm: float
    root_hz: float
    scale: tuple[int, ...]
    progression: tuple[int, ...]

    @property
    def beat_s(self) -> float:
        """Length of a beat in seconds."""
        return 60.0 / self.bpm

    def pitch_hz(self, degree: int, register_hz: tuple[float, float]) -> float:
        """Return the pitch of a scale degree, moved by octaves into a register."""
        octave, step = divmod(degree, len(self.scale))
        pitch = self.root_hz * 2.0 ** (octave + self.scale[step] / 12.0)
        low, high = register_hz
        while pitch < low:
            pitch *= 2.0
        while pitch > high:
            pitch /= 2.0
        return float(pitch)

    def chord_degree(self, time_s: float, tempo: str) -> int:
        """Return the degree of the chord at a time: one a bar, in slow songs one each two beats."""
        beats = 2 if tempo == "slow" else 4
        bar = int(time_s / (beats * self.beat_s) + 1e-9)
        return self.progression[bar % len(self.progression)]


@dataclass(frozen=True)
class Note:
    """One note: when it starts, its pitch, how long it is held, and a linear gain."""

    onset_s: float
    pitch_hz: float
    duration_s: float
    gain: float


def compose(traits: Traits, rng: np.random.Generator) -> Song:
    """Draw tempo, key, scale and chords of a song."""
    pace = "dance" if (traits.style, traits.tempo) == ("techno", "medium") else traits.tempo
    low, high = _BPM[pace]
    mode = "bhairav" if traits.style == "indian" else str(rng.choice(("major", "minor")))
    return Song(
        bpm=float(rng.uniform(low, high)),
        root_hz=110.0 * 2.0 ** (int(rng.integers(0, 12)) / 12.0),
        scale=_SCALES[mode],
        progression=_PROGRESSIONS[int(rng.integers(0, len(_PROGRESSIONS)))],
    )


def _steps(
    traits: Traits, song: Song, part: str, duration_s: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Draw onsets and lengths in seconds; held parts take every step twice as long."""
    stretch = 2.0 if part in _SUSTAINED and traits.tempo != "slow" else 1.0
    if part == "choir":
        stretch = 2.0 if traits.tempo == "slow" else 4.0
    if traits.dynamics == "loud" and traits.tempo != "fast":
        stretch *= 0.75
    at, steps = float(rng.uniform(0.0, 0.2)) * song.beat_s, []
    while at < duration_s - 0.05:
        length = float(rng.choice(_STEPS_BEATS[traits.tempo])) * stretch * song.beat_s
        steps.append((at, length))
        at += length
    return steps


def melody(
    traits: Traits, song: Song, part: str, duration_s: float, rng: np.random.Generator
) -> list[Note]:
    """Walk along the scale at the song's pace; quiet songs leave notes out, slow ones few."""
    skip = 0.0 if traits.dynamics != "quiet" else (0.12 if traits.tempo == "slow" else 0.3)
    degree = 7 + int(rng.integers(-2, 3))
    notes: list[Note] = []
    for onset, length in _steps(traits, song, part, duration_s, rng):
        degree += int(rng.integers(-2, 3))
        degree = min(14, max(2, degree))
        chord = song.chord_degree(onset, traits.tempo)
        tone = chord + int(rng.choice((0, 2, 4, 7))) if rng.random() < 0.4 else degree
        if rng.random() >= skip or not notes:
            gain = float(rng.uniform(0.75, 1.0))
            notes.append(Note(onset, song.pitch_hz(tone, REGISTER_HZ[part]), length, gain))
    return notes


def chords(
    traits: Traits, song: Song, part: str, duration_s: float, rng: np.random.Generator
) -> list[Note]:
    """Strike the triad of each bar, rolled upwards, on every second beat."""
    every = (1.0 if traits.tempo == "slow" else 2.0) * song.beat_s
    register_hz = _CHORD_REGISTER_HZ.get(part, REGISTER_HZ[part])
    roll = 0.025 if part == "guitar" else 0.004
    notes: list[Note] = []
    for bar in range(int(np.ceil(duration_s / every))):
        onset = bar * every
        chord = song.chord_degree(onset, traits.tempo)
        for i, step in enumerate((0, 2, 4)):
            pitch = song.pitch_hz(chord + step, register_hz)
            gain = 0.55 * float(rng.uniform(0.8, 1.0))
            notes.append(Note(onset + i * roll, pitch, every, gain))
    return notes
