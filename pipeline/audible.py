"""What a mix must hold to be one: music and noise that are heard. A plan foresees it from levels.

A span may still hold nothing in the band that the set keeps, or two noises may cancel out. No gain
mends that: it would raise the rounding of a file or the residue of a filter to the level of music.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from manifests import signal
from manifests.errors import ManifestError
from manifests.rows import SAMPLE_RATE, MusicSpan, NoiseSpan, PlanRow
from manifests.signal import Signal

FAINTEST_DBFS: Final = -90.0
"""A span that is fainter is the rounding noise of a 16-bit file, no sound of it; a plan takes none
below about -80 dBFS."""


def expect_sounds(
    row: PlanRow, music: Signal, noises: Sequence[Signal], band_hz: float | None
) -> None:
    """Check each span as it was read.

    Raises:
        ManifestError: one holds nothing that can be heard; the file and what to do are named.
    """
    kept = f"below {SAMPLE_RATE / 2 if band_hz is None else band_hz:g} Hz"
    spans: list[MusicSpan | NoiseSpan] = [row.music, *row.noises]
    for span, sound in zip(spans, (music, *noises), strict=True):
        level_db = signal.power_db(signal.power(sound))
        if level_db < FAINTEST_DBFS:
            raise ManifestError(
                f"{span.path}: expected sound {kept} in the span from {span.start_s:g} s, got "
                f"{level_db:.0f} dBFS; take the file out of the corpus, or change --band-limit or "
                "--seed"
            )


def expect_noise_left(row: PlanRow, noise_sum: Signal) -> None:
    """Check the sum of noises of 0 dBFS each.

    Raises:
        ManifestError: they cancel out; the files and what to do are named.
    """
    level_db = signal.power_db(signal.power(noise_sum))
    if level_db < FAINTEST_DBFS:
        paths = " and ".join(noise.path for noise in row.noises)
        raise ManifestError(
            f"{paths}: expected noises whose sum is heard, got {level_db:.0f} dBFS from 0 dBFS "
            "each: they cancel out; take one of them out of the corpus or change --seed"
        )


def expect_members(row: PlanRow, clean_power: float, noise_power: float) -> None:
    """Check what int16 keeps of the clean member and of a noise part; powers in LSB squared.

    Raises:
        ManifestError: nothing; the files and what to do are named.
    """
    for path, value in ((row.music.path, clean_power), (row.noises[0].path, noise_power)):
        if value == 0.0:
            raise ManifestError(
                f"{path}: expected sound above the rounding to 16 bits beside the rest of the mix, "
                "got none; take the file out of the corpus or ask for SNRs nearer to 0 dB"
            )
