"""Which noises an example gets: the k smallest hashes of (seed, key, noise id).

So one missing noise changes only its users, one noise is the first of two and two the first of
four, and neither order nor worker count matters. 130 million pairs of example and noise are too
many for SHA-256, so each side is hashed once (64 bits of SHA-256) and pairs are combined by
SplitMix64's finaliser (Steele et al. 2014), a bijection whose output bits each depend on all input
bits: docs/decisions/0002-pair-hash.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from manifests.canonical import hash64

U64 = NDArray[np.uint64]


def splitmix64(state: U64) -> U64:
    """Return SplitMix64's output for each 64-bit state."""
    z = state + np.uint64(0x9E3779B97F4A7C15)  # a new array: all that follows is in place
    shifted = np.empty_like(z)
    for bits, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        np.right_shift(z, np.uint64(bits), out=shifted)
        np.bitwise_xor(z, shifted, out=z)
        np.multiply(z, np.uint64(factor), out=z)
    np.right_shift(z, np.uint64(31), out=shifted)
    np.bitwise_xor(z, shifted, out=z)
    return z


def noise_hashes(corpus_and_ids: Sequence[tuple[str, str]]) -> U64:
    """Return 64 bits of each noise clip's identity, shape ``(n_noises,)``."""
    return np.array([hash64("noise", *pair) for pair in corpus_and_ids], dtype=np.uint64)


def ranked_noises(seed: int, key: str, hashes: U64, k: int) -> Iterator[int]:
    """Iterate over the positions of noises by rising pair hash.

    Pair hashes are uniform over 64 bits, so the first few lie below a bound that about 16 k of them
    are expected under; the whole order is sorted only where those do not serve.

    Args:
        seed: seed of the build.
        key: key of the example.
        hashes: ``noise_hashes`` of all noises that may serve.
        k: how many are wanted.
    """
    pair = splitmix64(hashes ^ np.uint64(hash64(seed, "noises", key)))
    share = 16 * k / max(pair.size, 1)
    if share >= 1.0:
        yield from np.argsort(pair, kind="stable").tolist()
        return
    below = np.flatnonzero(pair < np.uint64(int(share * 2.0**64)))
    head = below[np.argsort(pair[below], kind="stable")]
    yield from head.tolist()
    yield from np.argsort(pair, kind="stable")[head.size :].tolist()
