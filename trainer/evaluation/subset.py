"""Subsets of a frozen set: the keys that several teams could all rebuild.

``{recipe_id, accept, keys}`` as ``prep thaw --common-subset`` and ``prep subset`` write it. Scores
on a subset carry its id, so that they are never compared with scores on the whole set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError
from manifests.keys import check_key
from manifests.records import row_from_json

MAX_BYTES: Final = 256 << 20
"""Largest subset file that is read: over 3 million keys."""


@dataclass(frozen=True)
class Subset:
    """Keys of a frozen set.

    Attributes:
        recipe_id: the recipe that the keys belong to.
        accept: verdict up to which a rebuilt example counted, ``identical`` or ``1lsb``.
        keys: the keys, in any order, each once.
    """

    recipe_id: str
    accept: str
    keys: tuple[str, ...]

    @property
    def subset_id(self) -> str:
        """SHA-256 over the canonical JSON with sorted keys: the same subset has one id."""
        return sha256_text(
            canonical_json(
                {"recipe_id": self.recipe_id, "accept": self.accept, "keys": sorted(self.keys)}
            )
        )

    def check_recipe(self, recipe_id: str | None, set_name: str) -> None:
        """Check that the subset belongs to the recipe of a set.

        Args:
            recipe_id: the set's recipe; None where it was never frozen.
            set_name: for messages.

        Raises:
            ManifestError: it belongs to another recipe.
        """
        if recipe_id != self.recipe_id:
            raise ManifestError(
                f"{set_name}: expected a set of recipe {self.recipe_id[:12]}…, got "
                f"{recipe_id[:12] + '…' if recipe_id else 'one without a recipe'}; use the subset "
                "of this set, or thaw the recipe"
            )


def load_subset(url: str) -> Subset:
    """Load a subset file.

    Raises:
        ManifestError: too large, not JSON, other fields, no key, an illegal key, or one that stands
            twice.
    """
    size = store.size_bytes(url)
    if size is not None and size > MAX_BYTES:
        raise ManifestError(f"{url}: expected at most {MAX_BYTES} bytes, got {size}")
    subset = row_from_json(store.read_bytes(url), Subset, url)
    for key in subset.keys:
        check_key(key)
    if not subset.keys or len(set(subset.keys)) != len(subset.keys):
        raise ManifestError(
            f"{url}: expected at least one key and each once, got {len(subset.keys)} of which "
            f"{len(set(subset.keys))} differ; write it again with prep subset"
        )
    return subset
