"""Names inside a set: example keys, member names, shard names.

WebDataset cuts a member's name at the *first dot of its base name* to find the key and lower-cases
the rest (measured on 1.0.2), so a key holds neither dot nor capital; dots come after it only.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from manifests.errors import ManifestError

KEY_PATTERN: Final = re.compile(r"[a-z0-9_-]{1,80}")
FILE_PATTERN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
SHARD_PATTERN: Final = re.compile(r"shard-(\d{6})\.tar")

SLUG_LENGTH: Final = 40
CORPUS_LENGTH: Final = 24
"""So that a key stays below 80 characters and a member's name below the 100 of a tar header."""
SIDECAR: Final = "json"
CLEAN: Final = "clean"
AUDIO: Final = "audio"


def slug(text: str) -> str:
    """Return ``text`` lower-cased, other characters than ``[a-z0-9]`` as ``_``, cut to 40."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:SLUG_LENGTH] or "x"


def example_key(corpus: str, clip_id: str, excerpt: int) -> str:
    """Return ``{corpus}-{slug}-{8 hex of sha256(clip id)}-{excerpt}``.

    The slug is for people; the hash keeps clips apart whose slugs agree.
    """
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:8]
    name = slug(corpus)[:CORPUS_LENGTH].replace("_", "-")
    return f"{name}-{slug(clip_id)}-{digest}-{excerpt}"


def check_key(key: str) -> str:
    """Return ``key`` where it is a legal example key.

    Raises:
        ManifestError: it is not of the form ``[a-z0-9_-]{1,80}``.
    """
    if not KEY_PATTERN.fullmatch(key):
        raise ManifestError(f"key {key!r}: expected [a-z0-9_-], 1 to 80 characters")
    return key


def check_file_name(name: str) -> str:
    """Return ``name`` where it is a plain file name without folders.

    Raises:
        ManifestError: it has other characters than ``[A-Za-z0-9._-]`` or starts with a dot.
    """
    if not FILE_PATTERN.fullmatch(name):
        raise ManifestError(
            f"file name {name!r}: expected letters, digits, '.', '_' and '-' only, no folder"
        )
    return name


def format_snr(snr_db: float) -> str:
    """Return an SNR as it stands in member names: ``10``, ``-5``, ``2.5``."""
    text = f"{snr_db:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def noisy_name(snr_db: float) -> str:
    """Return the member name of a noisy version, e.g. ``noisy.snr_-10``."""
    return f"noisy.snr_{format_snr(snr_db)}"


def member_names(snrs_db: tuple[float, ...], with_noise: bool) -> tuple[str, ...]:
    """Return the audio members of every example of a set, in the order they are stored."""
    if not with_noise:
        return (AUDIO,)
    return (CLEAN, *(noisy_name(snr_db) for snr_db in snrs_db))


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.tar"


def sidecar_name(number: int) -> str:
    """Return the file name of a shard's sidecar, written last: it marks the shard as done."""
    return f"shard-{number:06d}.json"
