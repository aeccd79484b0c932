"""A song's traits turned into sound: parts, style, dynamics, room, level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import signal

from pipeline.demo import percussion, plucked, sustained, voices
from pipeline.demo.oscillators import (
    Signal,
    add_at,
    drift,
    harmonic_numbers,
    harmonic_table,
    high_pass,
    low_pass,
    phase_of,
    ramps,
    table_index,
    unit_rms,
)
from pipeline.demo.phrases import Note, Song, chords, compose, melody
from pipeline.demo.traits import Traits

_PLAYERS: Final[dict[str, Callable[[float, float, int, np.random.Generator], Signal]]] = {
    "guitar": plucked.guitar, "piano": plucked.piano, "harpsichord": plucked.harpsichord,
    "sitar": plucked.sitar, "bells": plucked.bells, "strings": sustained.strings,
    "flute": sustained.flute, "synth": sustained.synth, "male": voices.male,
    "female": voices.female, "choir": voices.choir,
}  # fmt: skip
_CHORDAL: Final = frozenset({"guitar", "piano", "harpsichord", "strings", "choir"})
_LEVEL_DB: Final = {"quiet": -33.0, "medium": -22.0, "loud": -14.0}
_CEILING: Final = 0.85
"""Limit of the peak; the rest to full scale is for what MP3 coding adds."""


def render_song(
    traits: Traits,
    duration_s: float,
    sample_rate: int,
    channels: int,
    song_rng: np.random.Generator,
    clip_rng: np.random.Generator,
) -> Signal:
    """Render one clip of a song.

    Args:
        traits: what is to be heard.
        duration_s: length in seconds.
        sample_rate: Hz.
        channels: 1 or 2.
        song_rng: generator of the song; the same state for each of its clips.
        clip_rng: generator of the clip.

    Returns:
        The waveform, shape (n, channels), peak at most 0.85.
    """
    n = round(duration_s * sample_rate)
    song = compose(traits, song_rng)
    parts = [
        (_part(traits, song, name, n, sample_rate, clip_rng), gain_db)
        for name, gain_db in _balance(traits)
    ]
    styled = _style(traits, song, n, sample_rate, clip_rng)
    if styled is not None:
        parts.append(styled)
    mix = np.zeros((channels, n))
    for x, gain_db in parts:
        pan = clip_rng.uniform(-0.5, 0.5)
        sides = np.ones(1) if channels == 1 else np.array([1.0 - pan, 1.0 + pan])
        mix += 10.0 ** (gain_db / 20.0) * sides[:, None] * unit_rms(x)
    mix = _room(traits, mix, sample_rate, clip_rng)
    mix = _dynamics(traits, mix, sample_rate)
    level_db = _LEVEL_DB[traits.dynamics] + clip_rng.uniform(-2.0, 2.0)
    return limited(10.0 ** (level_db / 20.0) * unit_rms(mix)).T


def limited(x: Signal) -> Signal:
    """Bend peaks softly under 0.85 of full scale."""
    y: Signal = _CEILING * np.tanh(x / _CEILING)
    return y


def _balance(traits: Traits) -> list[tuple[str, float]]:
    """Name the parts with their levels in dB; a voice leads, two instruments are equals."""
    parts = [(name, 0.0) for name in traits.instruments]
    if traits.voice != "none":
        parts.append((traits.voice, 2.0))
    return parts


def _part(
    traits: Traits,
    song: Song,
    name: str,
    n: int,
    sample_rate: int,
    rng: np.random.Generator,
) -> Signal:
    duration_s = n / sample_rate
    notes = melody(traits, song, name, duration_s, rng)
    if name in _CHORDAL:
        notes += chords(traits, song, name, duration_s, rng)
    return _play(notes, name, n, sample_rate, traits.dynamics == "quiet", rng)


def _play(
    notes: list[Note], name: str, n: int, sample_rate: int, soft: bool, rng: np.random.Generator
) -> Signal:
    out = np.zeros(n)
    for note in notes:
        sound = _PLAYERS[name](note.pitch_hz, note.duration_s, sample_rate, rng)
        if soft:
            sound = sound * ramps(len(sound), sample_rate, 0.05, 0.01)
        add_at(out, sound, int(note.onset_s * sample_rate), note.gain)
    return out


def _style(
    traits: Traits, song: Song, n: int, sample_rate: int, rng: np.random.Generator
) -> tuple[Signal, float] | None:
    """Return what the style adds and its level in dB beside an instrument's."""
    if traits.style == "drums":
        return percussion.kit(n, sample_rate, song.bpm, rng), 2.0
    if traits.style == "techno":
        return percussion.four_on_the_floor(n, sample_rate, song.bpm, rng), 2.0
    if traits.style == "ambient":
        return _pad(song, n, sample_rate, rng), 3.0
    if traits.style == "indian":
        drone = unit_rms(_drone(song, n, sample_rate, rng))
        return drone + 0.7 * unit_rms(percussion.tabla(n, sample_rate, song.bpm, rng)), 0.0
    return None


def _pad(song: Song, n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Swell a chord of detuned saws whose brightness drifts."""
    out = np.zeros(n)
    for ratio in (0.5, 1.0, 1.5, 2.0, 2.0 * 2.0 ** (song.scale[2] / 12.0)):
        pitch = song.root_hz * ratio
        k = harmonic_numbers(pitch * 1.02, sample_rate, 30)
        dark = harmonic_table(1.0 / k**2.2)
        light = harmonic_table(np.exp(-((np.log2(k * pitch / 1400.0) / 0.9) ** 2)) + 1e-3 / k)
        shade = drift(n, sample_rate, rng, 0.35)
        for detune in (-0.004, 0.004):
            index = table_index(phase_of(pitch * (1.0 + detune), n, sample_rate) + rng.random())
            swell = 0.15 + drift(n, sample_rate, rng, 0.5)
            out += swell * (dark[index] + 0.7 * shade * light[index])
    return out


def _drone(song: Song, n: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Pluck a tanpura's four strings in turn: fifth, tonic, tonic, low tonic."""
    out = np.zeros(n)
    step_s = 0.55
    for i in range(int(n / sample_rate / step_s) + 1):
        pitch = song.root_hz * (0.75, 1.0, 1.0, 0.5)[i % 4]
        length = int(2.4 * sample_rate)
        k = harmonic_numbers(pitch, sample_rate, 30)
        buzz = harmonic_table(1.0 / k**0.6)[table_index(phase_of(pitch, length, sample_rate))]
        fade = np.exp(-np.arange(length) / (0.9 * sample_rate))
        add_at(
            out, buzz * fade * ramps(length, sample_rate, 0.03, 0.3), int(i * step_s * sample_rate)
        )
    return out


def _room(traits: Traits, mix: Signal, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Add reverberation: a hall under ambient songs and choirs, a small room elsewhere."""
    wide = traits.style == "ambient" or traits.voice == "choir"
    t60_s, wet = (2.2, 0.6) if wide else (0.4, 0.2)
    tail_n = int(0.7 * t60_s * sample_rate)
    fade = 10.0 ** (-3.0 * np.arange(tail_n) / (t60_s * sample_rate))
    tail = low_pass(rng.standard_normal((mix.shape[0], tail_n)) * fade, sample_rate, 3500.0)
    # Unit energy: the tail is then as loud as the sound that excites it.
    tail /= np.sqrt(np.sum(tail * tail, axis=1, keepdims=True))
    wet_mix: Signal = signal.fftconvolve(mix, tail, axes=1)[:, : mix.shape[1]]
    return mix + wet * wet_mix


def _dynamics(traits: Traits, mix: Signal, sample_rate: int) -> Signal:
    """Drive loud songs into distortion with a lifted treble; take the treble of quiet ones.

    Inputs of a tagger are scaled to one level, so loudness must be heard beside the level.
    """
    if traits.dynamics == "loud":
        driven = np.tanh(2.5 * unit_rms(mix))
        return driven + 0.8 * high_pass(driven, sample_rate, 2500.0)
    if traits.dynamics == "quiet":
        return low_pass(mix, sample_rate, 900.0)
    return mix
