"""One random generator per file, drawn from the seed and the file's name.

A generator that is derived from a name, never handed on from file to file, makes the corpora the
same whatever the order of the work and the number of workers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator_for(seed: int, *names: str) -> np.random.Generator:
    """Return the generator that belongs to a name.

    Args:
        seed: seed of the corpora, 0 or more.
        names: parts of the name; ``("a", "b")`` and ``("ab",)`` are different names.

    Returns:
        A generator seeded by ``SeedSequence`` over the seed and the SHA-256 of the name.
    """
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
