"""A few bytes per member from which the other team learns how far its own samples are off.

A SHA-256 says "equal" or "not". To tell a float that rounded the other way in three samples from
another recording, a recipe holds a sketch of each member beside its hash: the *fast AMS* or count
sketch (Alon, Matias & Szegedy 1996; Charikar, Chen & Farach-Colton 2002; Thorup & Zhang 2004). Each
sample goes with a sign into one of 24 buckets, both drawn from its position; the buckets' sums are
kept modulo 2**16. Sketches are linear, so the difference of two is the sketch of the difference d,
and the sum of its squares estimates Σ d² without bias, relative deviation √(2/24) = 29 %.

From Σ d² to "within 1 LSB": where numerics differ (another CPU, another build of a decoder), the
signals differ by a small Gaussian ε before they are rounded, and a sample flips with probability
E|ε| = 0.8 σ. For σ ≤ 1/6.4 LSB no |ε| reaches 1 in ten minutes of samples (6.4 σ: 1e-10 each), so
none moves by more than 1 LSB, and then Σ d² counts the samples that differ. Hence: within 1 LSB
where Σ d² / n ≤ 1/8, unless one bucket holds far more than its share, as a click of a few samples
would make it. Another coding of the same music is off by tens of LSB and far beyond.
"""

from __future__ import annotations

import base64
import binascii
import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError
from manifests.signal import Pcm

N_BUCKETS: Final = 24
TEXT_LENGTH: Final = 64
"""Characters of a sketch: 24 x 2 bytes in base 64."""
LARGEST_MEAN_SQUARE: Final = 0.125
LARGEST_SHARE: Final = 16.0
"""Square of one bucket against the mean of all; the largest of 24 Gaussian ones stays below 16 with
probability 0.998 (4 σ), that of a lone click is 24. Sums of up to 2 are a flip or two."""


@dataclass(frozen=True)
class Difference:
    """How far two members are apart, estimated from their sketches.

    Attributes:
        n_differ: samples that differ, where they do by 1 LSB; exact up to about five.
        rms_lsb: RMS of the difference in LSB; above about 100 only "large".
        within_1lsb: whether no sample is off by more than 1 LSB (see the module's text).
    """

    n_differ: int
    rms_lsb: float
    within_1lsb: bool


@functools.lru_cache(maxsize=4)
def _places(n_samples: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return bucket and sign of each position: SplitMix64 (Steele, Lea & Flood 2014) of it."""
    mixed = np.arange(1, n_samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    bucket = ((mixed >> np.uint64(32)) % np.uint64(N_BUCKETS)).astype(np.intp)
    return bucket, 1.0 - 2.0 * (mixed & np.uint64(1)).astype(np.float64)


def sketch(pcm: Pcm) -> str:
    """Return the sketch of a member's samples ``(n,)``: 64 characters of base 64."""
    bucket, sign = _places(pcm.size)
    sums = np.bincount(bucket, weights=sign * pcm, minlength=N_BUCKETS)  # below 2**53: exact
    return base64.b64encode((sums.astype(np.int64) & 0xFFFF).astype("<u2").tobytes()).decode()


def decode_sketch(text: str, name: str) -> NDArray[np.int64]:
    """Return the bucket sums modulo 2**16 of a sketch.

    Raises:
        ManifestError: it is no sketch.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ManifestError(f"{name}: expected a sketch in base 64: {error}") from error
    if len(data) != 2 * N_BUCKETS:
        raise ManifestError(f"{name}: expected a sketch of {2 * N_BUCKETS} bytes, got {len(data)}")
    return np.frombuffer(data, dtype="<u2").astype(np.int64)


def compare(expected: str, pcm: Pcm, name: str) -> Difference:
    """Estimate how far samples are from those that a sketch was made of; equal lengths.

    Args:
        expected: sketch of the recipe.
        pcm: ``(n,)``, known to differ from the recipe's by its hash.
        name: for messages.
    """
    found = decode_sketch(sketch(pcm), name)
    # Centred, so that small differences of either sign come out as they are.
    apart = (found - decode_sketch(expected, name) + 0x8000) % 0x10000 - 0x8000
    squares = apart * apart
    total = max(int(np.sum(squares)), 1)  # two flips may cancel in one bucket
    mean_square = total / max(pcm.size, 1)
    largest = int(np.max(squares))
    even = largest <= 4 or largest <= LARGEST_SHARE * total / N_BUCKETS
    return Difference(
        n_differ=min(total, pcm.size),
        rms_lsb=round(math.sqrt(mean_square), 4),
        within_1lsb=even and mean_square <= LARGEST_MEAN_SQUARE,
    )
