"""Load a recipe that another team sent, strictly: hashes, form, values, and the id."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import check_file_name
from manifests.records import parse_json, row_builder
from pipeline.frozen.frozen_config import frozen_config
from pipeline.frozen.recipe import (
    CHECKSUMS,
    FORMAT,
    NAME_PATTERN,
    PLAN,
    RECIPE,
    RECIPE_FILES,
    RECIPE_VERSION,
    SKETCHES,
    SOURCES,
    TAGS,
    Recipe,
    RecipeHeader,
    is_recipe,
    recipe_id,
)
from pipeline.frozen.rows import FrozenRow, FrozenSource, check_row, check_source, source_keys
from pipeline.frozen.sketch import TEXT_LENGTH
from pipeline.frozen.untrusted import canonical_lines, canonical_value, read_bounded

MAX_FILE_BYTES: Final = {RECIPE: 4 << 20, TAGS: 16 << 20, CHECKSUMS: 64 << 20}
MAX_ROWS_BYTES: Final = 256 << 20
"""Largest table of a recipe: about 200,000 examples."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def read_manifest(url: str) -> dict[str, str]:
    """Return SHA-256 by file name from a recipe's ``manifest-sha256.txt``.

    Raises:
        ManifestError: missing, malformed, a name twice, or one that leads out of the folder.
    """
    data = read_bounded(url, CHECKSUMS, MAX_FILE_BYTES[CHECKSUMS])
    hashes: dict[str, str] = {}
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{CHECKSUMS}: expected ASCII text: {error}") from error
    for line in text.removesuffix("\n").split("\n"):
        sha256, separator, name = line.partition("  ")
        if not separator or not _SHA256.fullmatch(sha256):
            raise ManifestError(f"{CHECKSUMS}: expected 'SHA-256  NAME', got {line[:80]!r}")
        if check_file_name(name) in hashes:
            raise ManifestError(f"{CHECKSUMS}: {name} stands twice")
        hashes[name] = sha256
    return hashes


def load_recipe(url: str) -> Recipe:
    """Load a recipe and check all of it: hashes, form, values, and that its id is its content's.

    Raises:
        ManifestError: what is not as it should be, with the file and the line.
    """
    if not is_recipe(url):
        raise ManifestError(_not_a_recipe(url))
    hashes = read_manifest(url)
    if missing := [name for name in RECIPE_FILES if name not in hashes]:
        raise ManifestError(f"{url}: {CHECKSUMS}: expected {', '.join(missing)} in it")
    files = {}
    for name in (RECIPE, PLAN, SOURCES, SKETCHES, TAGS):
        files[name] = read_bounded(url, name, MAX_FILE_BYTES.get(name, MAX_ROWS_BYTES))
        found = hashlib.sha256(files[name]).hexdigest()
        if found != hashes[name]:
            raise ManifestError(
                f"{url}: {name}: expected SHA-256 {hashes[name][:12]}…, got {found[:12]}…; the "
                "recipe was changed or damaged on its way: fetch it again"
            )
    return parse_recipe(files, url)


def _not_a_recipe(url: str) -> str:
    if store.exists(store.join(url, "index.json")):
        return f"{url}: expected a recipe (NAME.v1), got a set; 'prep freeze {url}' makes a recipe"
    folder = posixpath.dirname(url.rstrip("/"))
    if folder and is_recipe(folder):
        return f"{url}: expected the folder of a recipe, got a file of it; name {folder}"
    return f"{url}: expected a recipe, a folder with {RECIPE} and {PLAN}, found none"


def parse_recipe(files: dict[str, bytes], url: str) -> Recipe:
    """Build a recipe from the contents of its files, strictly.

    Raises:
        ManifestError: see ``load_recipe``.
    """
    header = _header(files[RECIPE])
    config = frozen_config(header.config, RECIPE)
    vocabulary = frozenset(header.tags)
    build = row_builder(FrozenRow)
    lines, rows = list[str](), list[FrozenRow]()
    for line, value in canonical_lines(files[PLAN], PLAN):
        row = build(value)
        check_row(row, len(config.snrs_db), config.n_noises, vocabulary)
        lines.append(line)
        rows.append(row)
    _check_rows(rows)
    found = recipe_id(header.config, header.tags, lines)
    if found != header.recipe_id:
        raise ManifestError(
            f"{url}: expected the recipe id of its content, {found[:12]}…, got "
            f"{header.recipe_id[:12]}…; the recipe was edited: a change is a new version"
        )
    return Recipe(
        header=header,
        config=config,
        rows=tuple(rows),
        sources=_sources(files[SOURCES], rows),
        sketches=_sketches(files[SKETCHES], rows),
        tags_json=_tags(files[TAGS], header.tags),
    )


def _header(data: bytes) -> RecipeHeader:
    value = canonical_value(data, RECIPE)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ManifestError(f"{RECIPE}: expected format {FORMAT}, got {_shown(value)}")
    if value.get("format_version") != RECIPE_VERSION:
        raise ManifestError(
            f"{RECIPE}: expected format version {RECIPE_VERSION}, got "
            f"{value.get('format_version')!r:.40}; a newer robust-tagger may read it"
        )
    header = row_builder(RecipeHeader)(value)
    if not NAME_PATTERN.fullmatch(header.name):
        raise ManifestError(f"{RECIPE}: expected a name such as NAME.v1, got {header.name!r:.80}")
    if not _SHA256.fullmatch(header.recipe_id):
        raise ManifestError(f"{RECIPE}: expected a SHA-256 as id, got {header.recipe_id!r:.80}")
    if len(set(header.tags)) != len(header.tags):
        raise ManifestError(f"{RECIPE}: expected each tag once")
    return header


def _shown(value: Any) -> str:
    return f"{value.get('format')!r:.40}" if isinstance(value, dict) else type(value).__name__


def _check_rows(rows: list[FrozenRow]) -> None:
    """Check keys and shards over all rows: unique, and numbered from 0 without gaps."""
    if not rows:
        raise ManifestError(f"{PLAN}: expected examples, got none")
    keys = set()
    shard, domain = 0, rows[0].domain
    for row in rows:
        if row.key in keys:
            raise ManifestError(f"{PLAN}: {row.key}: expected each key once, got it twice")
        keys.add(row.key)
        if row.shard not in (shard, shard + 1) or (len(keys) == 1 and row.shard):
            raise ManifestError(
                f"{PLAN}: {row.key}: expected shard {shard} or the next, got {row.shard}"
            )
        if row.shard == shard and row.domain != domain:
            raise ManifestError(f"{PLAN}: {row.key}: expected one half in shard {shard}")
        shard, domain = row.shard, row.domain


def _sources(data: bytes, rows: list[FrozenRow]) -> dict[tuple[str, str, str], FrozenSource]:
    build = row_builder(FrozenSource)
    sources: dict[tuple[str, str, str], FrozenSource] = {}
    for _, value in canonical_lines(data, SOURCES):
        source = build(value)
        check_source(source)
        if source.key in sources:
            raise ManifestError(f"{SOURCES}: {source.key[2]!r:.80} stands twice")
        sources[source.key] = source
    used = {key for row in rows for key in source_keys(row)}
    if sources.keys() != used:
        odd = sorted(sources.keys() ^ used)[0]
        raise ManifestError(
            f"{SOURCES}: expected the sources that {PLAN} uses, each once; differs in {odd!r:.120}"
        )
    return sources


def _sketches(data: bytes, rows: list[FrozenRow]) -> tuple[tuple[str, ...], ...]:
    sketches = []
    for (_, value), row in zip(canonical_lines(data, SKETCHES), rows, strict=False):
        legal = isinstance(value, list) and len(value) == len(row.pcm_sha256)
        if not legal or not all(isinstance(s, str) and len(s) == TEXT_LENGTH for s in value):
            raise ManifestError(f"{SKETCHES}: {row.key}: expected a sketch of every member")
        sketches.append(tuple(value))
    n_lines = data.count(b"\n")
    if not len(sketches) == n_lines == len(rows):
        raise ManifestError(f"{SKETCHES}: expected {len(rows)} lines, got {n_lines}")
    return tuple(sketches)


def _tags(data: bytes, names: tuple[str, ...]) -> bytes:
    record = parse_json(data, TAGS)
    listed = record.get("names") if isinstance(record, dict) else None
    if names and listed != list(names):
        raise ManifestError(f"{TAGS}: expected the {len(names)} tags of {RECIPE}, got others")
    return data
