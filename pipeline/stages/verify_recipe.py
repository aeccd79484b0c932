"""Verify a recipe: every file against its hash, every row against the rules, and the id."""

from __future__ import annotations

import hashlib
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import SHARD_PATTERN
from manifests.shardset import load_set
from manifests.subset import Subset
from pipeline.frozen.load import load_recipe, read_manifest
from pipeline.frozen.marker import read_marker
from pipeline.frozen.recipe import CHECKSUMS, PLAN, RECIPE, SKETCHES, SOURCES, TAGS
from pipeline.frozen.subset import check_subset
from pipeline.frozen.untrusted import check_plain_file
from pipeline.set_files import entries
from pipeline.sources import absolute_url
from pipeline.stages.verify import Verdict

_READ: Final = tuple(f"{name}: expected " for name in (RECIPE, PLAN, SOURCES, SKETCHES, TAGS))
"""How a problem with a file begins that loading would stop at too."""


def verify_recipe(url: str, subset: Subset | None = None) -> Verdict:
    """Check a recipe completely; problems are collected, not raised.

    Its audio, where it carries any, is checked as a set by ``verify_set``.

    Args:
        url: path or URL of the recipe.
        subset: must belong to it.

    Raises:
        ManifestError: it has no manifest, or that is malformed.
    """
    url = absolute_url(url)
    hashes = read_manifest(url)
    problems = [
        f"{name}: a file that {CHECKSUMS} does not list"
        for name in entries(url)
        if name not in hashes and name != CHECKSUMS
    ]
    for name, sha256 in hashes.items():
        if not SHARD_PATTERN.fullmatch(name):  # those are checked with the set
            problems += _check_file(url, name, sha256)
    n_examples = 0
    try:
        recipe = load_recipe(url)
        n_examples = len(recipe.rows)
        if subset is not None:
            keys = {row.key for row in recipe.rows}
            check_subset(subset, recipe.header.recipe_id, keys, recipe.header.name)
    except ManifestError as error:
        if not any(problem.startswith(_READ) for problem in problems):  # known by its hash
            problems.append(str(error))
    name = url.rstrip("/").rpartition("/")[2]
    return Verdict(name, len(hashes), n_examples, tuple(sorted(problems)))


def _check_file(url: str, name: str, sha256: str) -> list[str]:
    path = store.join(url, name)
    if not store.exists(path):
        return [f"{name}: expected a file, found none"]
    try:
        check_plain_file(url, name)
        with store.open_read(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except ManifestError as error:
        return [str(error)]
    return [] if found == sha256 else [f"{name}: expected SHA-256 {sha256}, got {found}"]


def subset_problems(url: str, subset: Subset) -> list[str]:
    """Return what keeps a set from being scored on a subset; empty where it can be."""
    try:
        marker = read_marker(absolute_url(url))
        shard_set = load_set(absolute_url(url))
        keys = {entry.key for _, entry in shard_set.entries()}
        recipe_id = marker.recipe_id if marker else None
        check_subset(subset, recipe_id, keys, shard_set.index.name)
    except ManifestError as error:
        return [str(error)]
    return []
