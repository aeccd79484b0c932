"""Subsets of a frozen set: the examples that one team, or all of several, could rebuild.

``{recipe_id, accept, keys}``, canonical JSON with sorted keys, so that equal subsets are equal
files. ``prep`` writes and intersects them; ``prep`` and ``train`` read them, and scores on a subset
carry its id, so that they are never compared with scores on the whole set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError
from manifests.keys import check_key
from manifests.records import row_from_json

IDENTICAL: Final = "identical"
ONE_LSB: Final = "1lsb"
LEVELS: Final = (IDENTICAL, ONE_LSB)
"""Verdicts up to which a rebuilt example may count, the strictest first."""

MAX_BYTES: Final = 256 << 20
"""Largest subset file that is read: over 3 million keys."""


@dataclass(frozen=True)
class Subset:
    """Keys of a recipe.

    Attributes:
        recipe_id: the recipe that they belong to.
        accept: verdict up to which a rebuilt example counted: ``identical`` or ``1lsb``.
        keys: the keys, each once.
    """

    recipe_id: str
    accept: str
    keys: tuple[str, ...]

    @property
    def subset_id(self) -> str:
        """SHA-256 over the canonical JSON with sorted keys: a subset has one id everywhere."""
        return sha256_text(
            canonical_json(
                {"recipe_id": self.recipe_id, "accept": self.accept, "keys": sorted(self.keys)}
            )
        )

    def check_recipe(self, recipe_id: str | None, set_name: str) -> None:
        """Check that the subset belongs to a recipe, or to the recipe of a set.

        Args:
            recipe_id: the recipe, or the set's; None where that was never frozen.
            set_name: for messages.

        Raises:
            ManifestError: it belongs to another recipe.
        """
        if recipe_id != self.recipe_id:
            raise ManifestError(
                f"{set_name}: expected recipe {self.recipe_id[:12]}…, as the subset, got "
                f"{recipe_id[:12] + '…' if recipe_id else 'a set without a recipe'}; use the "
                "subset of this set, or thaw the recipe"
            )


def make_subset(recipe_id: str, accept: str, keys: Iterable[str]) -> Subset:
    """Return a subset, its keys sorted.

    Raises:
        ManifestError: there is no key.
    """
    ordered = tuple(sorted(keys))
    if not ordered:
        raise ManifestError(
            f"subset of {recipe_id[:12]}…: expected at least one example in common, got none"
        )
    return Subset(recipe_id, accept, ordered)


def write_subset(url: str, subset: Subset) -> None:
    """Write a subset file; raises ManifestError where it cannot be written."""
    store.write_text(url, canonical_json(subset) + "\n")


def load_subset(url: str) -> Subset:
    """Load a subset file; its keys come sorted.

    Raises:
        ManifestError: none there, too large, not JSON, other fields, an unknown ``accept``, no key,
            an illegal key, or one that stands twice.
    """
    size = store.size_bytes(url)
    if size is None:
        raise ManifestError(
            f"{url}: expected a subset file, found none; prep thaw --common-subset and prep subset "
            "write them"
        )
    if size > MAX_BYTES:
        raise ManifestError(f"{url}: expected at most {MAX_BYTES:,} bytes, got {size:,}")
    subset = row_from_json(store.read_bytes(url), Subset, url)
    if subset.accept not in LEVELS:
        raise ManifestError(
            f"{url}: accept: expected {' or '.join(LEVELS)}, got {subset.accept!r:.40}"
        )
    different = set(map(check_key, subset.keys))
    if not subset.keys or len(different) != len(subset.keys):
        raise ManifestError(
            f"{url}: expected at least one key and each once, got {len(subset.keys):,} of which "
            f"{len(different):,} differ; write it again with prep subset"
        )
    return make_subset(subset.recipe_id, subset.accept, subset.keys)
