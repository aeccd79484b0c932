"""A set or a recipe, looked at in one way: rows, sources, config and tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manifests import store
from manifests.errors import ManifestError
from manifests.shardset import INDEX, load_set
from pipeline.frozen.from_set import example_sources, frozen_row, set_members
from pipeline.frozen.load import load_recipe
from pipeline.frozen.marker import read_marker
from pipeline.frozen.recipe import is_recipe
from pipeline.frozen.rows import FrozenRow, FrozenSource, source_keys
from pipeline.sources import absolute_url


@dataclass(frozen=True)
class View:
    """What a set and a recipe have in common.

    Attributes:
        name: name of the set or recipe.
        kind: ``set`` or ``recipe``.
        recipe_id: id of the recipe; None for a set that was never frozen.
        config: identity config.
        tools: versions it was made with.
        tags: tag vocabulary, in order.
        members: audio members of every example, in order.
        rows: example by key, in order.
        sources: sources of each example by its key, the music first.
    """

    name: str
    kind: str
    recipe_id: str | None
    config: dict[str, Any]
    tools: dict[str, str]
    tags: tuple[str, ...]
    members: tuple[str, ...]
    rows: dict[str, FrozenRow]
    sources: dict[str, tuple[FrozenSource, ...]]


def load_view(url: str) -> View:
    """Load a set or a recipe; no audio is read.

    Raises:
        ManifestError: it is neither, or malformed.
    """
    url = absolute_url(url)
    if is_recipe(url):
        return _recipe_view(url)
    if not store.exists(store.join(url, INDEX)):
        raise ManifestError(f"{url}: expected a set or a recipe, found neither")
    return _set_view(url)


def _recipe_view(url: str) -> View:
    recipe = load_recipe(url)
    sources = {
        row.key: tuple(recipe.sources[key] for key in source_keys(row)) for row in recipe.rows
    }
    return View(
        name=recipe.header.name,
        kind="recipe",
        recipe_id=recipe.header.recipe_id,
        config=recipe.header.config,
        tools=recipe.header.tools,
        tags=recipe.header.tags,
        members=recipe.config.members,
        rows={row.key: row for row in recipe.rows},
        sources=sources,
    )


def _set_view(url: str) -> View:
    shard_set = load_set(url)
    members = set_members(shard_set)
    marker = read_marker(url)
    rows, sources = {}, {}
    for number in range(len(shard_set.index.shards)):
        for entry in shard_set.sidecar(number).examples:
            rows[entry.key] = frozen_row(entry.record, number, members)
            sources[entry.key] = example_sources(entry.record)
    return View(
        name=shard_set.index.name,
        kind="set",
        recipe_id=marker.recipe_id if marker else None,
        config=shard_set.index.config,
        tools=shard_set.index.tools,
        tags=shard_set.index.tags,
        members=members,
        rows=rows,
        sources=sources,
    )
