"""Subsets of a frozen set: the examples that one or several teams could rebuild.

``{recipe_id, accept, keys}``, canonical JSON with sorted keys, so that equal subsets are equal
files. ``trainer.evaluation.subset`` reads the same file and computes the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError, UsageError
from manifests.keys import check_key
from manifests.records import row_from_json
from pipeline.frozen.load import load_recipe
from pipeline.frozen.recipe import is_recipe
from pipeline.frozen.verdict import ACCEPTS, IDENTICAL, ONE_LSB, ExampleVerdict

MAX_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Subset:
    """Keys of a recipe.

    Attributes:
        recipe_id: the recipe that they belong to.
        accept: verdict up to which a rebuilt example counted: ``identical`` or ``1lsb``.
        keys: the keys, sorted.
    """

    recipe_id: str
    accept: str
    keys: tuple[str, ...]

    @property
    def subset_id(self) -> str:
        """SHA-256 over the canonical JSON: the same subset has one id everywhere."""
        return sha256_text(canonical_json(self))


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


def accepted_subset(recipe_id: str, accept: str, verdicts: Iterable[ExampleVerdict]) -> Subset:
    """Return the examples that a thaw accepted; raises ManifestError where there are none."""
    keys = (v.key for v in verdicts if v.verdict in ACCEPTS[accept])
    return make_subset(recipe_id, accept, keys)


def write_subset(url: str, subset: Subset) -> None:
    """Write a subset file; raises ManifestError where it cannot be written."""
    store.write_text(url, canonical_json(subset) + "\n")


def load_subset(url: str) -> Subset:
    """Load a subset file, or a recipe as the subset of all its examples.

    Raises:
        ManifestError: too large, not JSON, other fields, no key, an illegal key, or one twice.
    """
    if is_recipe(url):
        recipe = load_recipe(url)
        keys = (row.key for row in recipe.rows)
        return make_subset(recipe.header.recipe_id, IDENTICAL, keys)
    size = store.size_bytes(url)
    if size is None:
        raise ManifestError(f"{url}: expected a subset file (or a recipe), found none")
    if size > MAX_BYTES:
        raise ManifestError(f"{url}: expected at most {MAX_BYTES:,} bytes, got {size:,}")
    subset = row_from_json(store.read_bytes(url), Subset, url)
    if subset.accept not in ACCEPTS:
        raise ManifestError(f"{url}: accept: expected identical or 1lsb, got {subset.accept!r:.40}")
    if len(set(map(check_key, subset.keys))) != len(subset.keys):
        raise ManifestError(f"{url}: expected each key once")
    return make_subset(subset.recipe_id, subset.accept, subset.keys)


def intersect(subsets: Sequence[Subset], names: Sequence[str]) -> Subset:
    """Return what all subsets hold; accepted as the laxest of them accepts.

    Args:
        subsets: two or more of one recipe.
        names: what each is called in messages.

    Raises:
        UsageError: fewer than two.
        ManifestError: they belong to different recipes, or have no example in common.
    """
    if len(subsets) < 2:
        raise UsageError(f"expected two subsets or more, got {len(subsets)}")
    first = subsets[0]
    for subset, name in zip(subsets[1:], names[1:], strict=True):
        if subset.recipe_id != first.recipe_id:
            raise ManifestError(
                f"{name}: expected a subset of recipe {first.recipe_id[:12]}…, as {names[0]}, got "
                f"one of {subset.recipe_id[:12]}…; examples of different recipes are not the same"
            )
    keys = set(first.keys).intersection(*(subset.keys for subset in subsets[1:]))
    accept = ONE_LSB if any(s.accept == ONE_LSB for s in subsets) else IDENTICAL
    return make_subset(first.recipe_id, accept, keys)


def check_subset(subset: Subset, recipe_id: str | None, keys: Collection[str], name: str) -> None:
    """Check that a subset belongs to a recipe or a set.

    Args:
        subset: the subset.
        recipe_id: id of the recipe; None for a set that was never frozen.
        keys: examples that are there.
        name: for messages.

    Raises:
        ManifestError: another recipe, or keys that are not there.
    """
    if subset.recipe_id != recipe_id:
        raise ManifestError(
            f"{name}: expected recipe {subset.recipe_id[:12]}…, as the subset, got "
            f"{recipe_id[:12] + '…' if recipe_id else 'a set without a recipe'}"
        )
    missing = sorted(set(subset.keys) - set(keys))
    if missing:
        raise ManifestError(
            f"{name}: expected all {len(subset.keys):,} examples of the subset, "
            f"{len(missing):,} are not there: {', '.join(missing[:3])}"
        )
