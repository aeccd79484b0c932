"""``recipe.json`` of a set: which recipe it was frozen as or thawed from.

An extra file beside the set's own, so format version 1 stays as it is; ``train evaluate`` reads
``recipe_id`` from it and writes it into every score file. A recipe's header has the same name and
the same field, so a recipe that carries its audio is such a set by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.records import row_from_json
from manifests.shardset import ShardSet
from pipeline.frozen.from_set import frozen_row, set_members
from pipeline.frozen.recipe import RECIPE, RecipeHeader, is_recipe, recipe_id
from pipeline.frozen.untrusted import read_bounded
from pipeline.frozen.verdict import IDENTICAL

MARKER: Final = RECIPE
_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True)
class Marker:
    """What a set's ``recipe.json`` says.

    Attributes:
        recipe_id: id of the recipe.
        name: name of the recipe.
        n_examples: examples of the recipe; the set holds all of them or fewer.
        accept: verdict up to which examples were taken: ``identical`` or ``1lsb``.
        subset_id: id of the subset that was thawed; None for the whole recipe.
        request_sha256: over recipe, options, tools and matched sources of a thaw; empty for the
            set that was frozen.
    """

    recipe_id: str
    name: str
    n_examples: int
    accept: str
    subset_id: str | None
    request_sha256: str


def read_marker(url: str) -> Marker | None:
    """Return what a set says of its recipe; None for a set that was never frozen or thawed.

    Raises:
        ManifestError: it is malformed.
    """
    path = store.join(url, MARKER)
    n_bytes = store.size_bytes(path)
    if n_bytes is None:
        return None
    if is_recipe(url):  # a recipe that carries its audio
        data = read_bounded(url, MARKER, _MAX_BYTES)
        header = row_from_json(data, RecipeHeader, MARKER)
        n_examples = int(header.counts.get("examples", 0))
        return Marker(header.recipe_id, header.name, n_examples, IDENTICAL, None, "")
    if n_bytes > _MAX_BYTES:
        raise ManifestError(f"{MARKER}: expected at most {_MAX_BYTES:,} bytes, got {n_bytes:,}")
    return row_from_json(store.read_bytes(path), Marker, MARKER)


def marker_problems(shard_set: ShardSet, listed: Collection[str]) -> list[str]:
    """Return what is wrong with a set's ``recipe.json``; empty where there is none.

    The marker of the set that was frozen is in no manifest, for it was written into a finished
    set; what it says is told from the sidecars. That of a thawed set is in the manifest.

    Args:
        shard_set: the set.
        listed: names in its ``manifest-sha256.txt``.
    """
    try:
        marker = read_marker(shard_set.url)
    except ManifestError as error:
        return [str(error)]
    if marker is None:
        return []
    if marker.request_sha256:
        return [] if MARKER in listed else [f"{MARKER}: of a thawed set, but not in its manifest"]
    index, members = shard_set.index, set_members(shard_set)
    try:
        rows = [
            canonical_json(frozen_row(entry.record, number, members))
            for number in range(len(index.shards))
            for entry in shard_set.sidecar(number).examples
        ]
    except (ManifestError, KeyError):
        return []  # of the sidecars, which are checked with their shards
    found = recipe_id(index.config, index.tags, rows)
    expected = Marker(found, marker.name, len(rows), IDENTICAL, None, "")
    if marker == expected:
        return []
    return [
        f"{MARKER}: expected recipe id {found[:12]}… and all {len(rows)} examples, as this set "
        f"freezes, got {marker.recipe_id[:12]!r}… and {marker.n_examples}; remove it and freeze "
        "the set again"
    ]


def marker_bytes(marker: Marker) -> bytes:
    """Return the contents of a set's ``recipe.json``."""
    return (canonical_json(marker) + "\n").encode()


def mark_frozen(url: str, marker: Marker) -> None:
    """Write the marker into the set that was frozen; one that says the same is left alone.

    Raises:
        ManifestError: the set says that it belongs to another recipe, or cannot be written.
    """
    check_unmarked(url, marker.recipe_id)
    if read_marker(url) is None:
        store.write_bytes(store.join(url, MARKER), marker_bytes(marker))


def check_unmarked(url: str, recipe_id: str) -> None:
    """Refuse a set that belongs to another recipe.

    Raises:
        ManifestError: it was thawed from another recipe, of which it holds a part.
    """
    known = read_marker(url)
    if known is not None and known.recipe_id != recipe_id:
        raise ManifestError(
            f"{url}: expected a set of its own, got one thawed from {known.name} "
            f"({known.recipe_id[:12]}…), of which it holds a part; share the part as a subset: "
            "prep thaw --common-subset"
        )
