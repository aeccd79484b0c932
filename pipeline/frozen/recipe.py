"""The recipe of a frozen set: a folder of text files, and the id that the set has everywhere.

``NAME.v1/`` holds ``recipe.json`` (header), ``plan.jsonl`` (a row per example), ``sources.jsonl``,
``sketches.jsonl``, ``tags.json``, ``attribution.csv``, ``croissant.json``, ``README.md`` and,
written last, ``manifest-sha256.txt``. See docs/evaluation-sets.md for the fields.

The recipe id is the SHA-256 over one canonical JSON line {format, format_version, config, tags} and
the lines of ``plan.jsonl``. Tools, licences, artists and hashes of files stand beside it
(docs/decisions/0001).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from manifests import store
from manifests.canonical import canonical_json, sha256_lines
from manifests.errors import UsageError
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.rows import FrozenRow, FrozenSource

RECIPE: Final = "recipe.json"
PLAN: Final = "plan.jsonl"
SOURCES: Final = "sources.jsonl"
SKETCHES: Final = "sketches.jsonl"
TAGS: Final = "tags.json"
ATTRIBUTION: Final = "attribution.csv"
CROISSANT: Final = "croissant.json"
CARD: Final = "README.md"
CHECKSUMS: Final = "manifest-sha256.txt"
RECIPE_FILES: Final = (RECIPE, PLAN, SOURCES, SKETCHES, TAGS, ATTRIBUTION, CROISSANT, CARD)

FORMAT: Final = "robust-tagger-recipe"
RECIPE_VERSION: Final = 1
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.v[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class RecipeHeader:
    """``recipe.json``.

    Attributes:
        format: ``robust-tagger-recipe``.
        format_version: 1.
        name: name of the recipe as it was frozen, e.g. ``mtat-musan.v1``.
        recipe_id: see the module's text.
        config: identity config of the set.
        tags: tag vocabulary, in order.
        plan_sha256: that of the frozen set's index.
        counts: ``examples``, ``songs``, ``seconds``, ``music_sources``, ``noise_sources``.
        tools: versions that the set was built with.
        notes: facts for people, e.g. what the leak guard found.
        with_audio: the folder holds the set's shards as well.
    """

    format: str
    format_version: int
    name: str
    recipe_id: str
    config: dict[str, Any]
    tags: tuple[str, ...]
    plan_sha256: str
    counts: dict[str, float]
    tools: dict[str, str]
    notes: tuple[str, ...]
    with_audio: bool


@dataclass(frozen=True)
class Recipe:
    """A recipe in memory.

    Attributes:
        header: ``recipe.json``.
        config: what thawing needs of the config.
        rows: examples in shard order.
        sources: source by (role, corpus, clip id).
        sketches: sketch of every member of every row, in their order.
        tags_json: bytes of ``tags.json``.
    """

    header: RecipeHeader
    config: FrozenConfig
    rows: tuple[FrozenRow, ...]
    sources: dict[tuple[str, str, str], FrozenSource]
    sketches: tuple[tuple[str, ...], ...]
    tags_json: bytes


def recipe_id(config: dict[str, Any], tags: tuple[str, ...], rows: list[str]) -> str:
    """Return the id of a recipe from its identity: config, vocabulary, lines of ``plan.jsonl``."""
    head = {
        "format": FORMAT,
        "format_version": RECIPE_VERSION,
        "config": config,
        "tags": list(tags),
    }
    return sha256_lines([canonical_json(head), *rows])


def is_recipe(url: str) -> bool:
    """Tell whether a folder holds a recipe (a thawed set has a recipe.json too, but no plan)."""
    return store.exists(store.join(url, RECIPE)) and store.exists(store.join(url, PLAN))


def check_recipe_name(url: str) -> str:
    """Return the recipe's name from the folder it shall be written to.

    Raises:
        UsageError: the folder's name does not end in a version.
    """
    name = url.rstrip("/").rpartition("/")[2]
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(
            f"-o {url}: expected a name that ends in its version, such as {name or 'NAME'}.v1 "
            "(letters, digits, '.', '_', '-')"
        )
    return name
