"""Subsets as thawing makes and uses them; ``manifests.subset`` holds the type and its file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from manifests import subset as subset_file
from manifests.errors import ManifestError, UsageError
from manifests.subset import IDENTICAL, ONE_LSB, Subset, make_subset
from pipeline.frozen.load import load_recipe
from pipeline.frozen.recipe import is_recipe
from pipeline.frozen.verdict import ACCEPTS, ExampleVerdict


def accepted_subset(recipe_id: str, accept: str, verdicts: Iterable[ExampleVerdict]) -> Subset:
    """Return the examples that a thaw accepted; raises ManifestError where there are none."""
    keys = (v.key for v in verdicts if v.verdict in ACCEPTS[accept])
    return make_subset(recipe_id, accept, keys)


def load_subset(url: str) -> Subset:
    """Load a subset file, or a recipe as the subset of all its examples.

    Raises:
        ManifestError: see ``manifests.subset.load_subset`` and ``load_recipe``.
    """
    if not is_recipe(url):
        return subset_file.load_subset(url)
    recipe = load_recipe(url)
    keys = (row.key for row in recipe.rows)
    return make_subset(recipe.header.recipe_id, IDENTICAL, keys)


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
    """Check that a subset belongs to a recipe or a set, and that this holds all of it.

    Args:
        subset: the subset.
        recipe_id: id of the recipe; None for a set that was never frozen.
        keys: examples that are there.
        name: for messages.

    Raises:
        ManifestError: another recipe, or keys that are not there.
    """
    subset.check_recipe(recipe_id, name)
    missing = sorted(set(subset.keys) - set(keys))
    if missing:
        raise ManifestError(
            f"{name}: expected all {len(subset.keys):,} examples of the subset, "
            f"{len(missing):,} are not there: {', '.join(missing[:3])}"
        )
