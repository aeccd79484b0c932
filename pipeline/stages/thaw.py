"""Thaw: a recipe and one's own copies of the corpora -> the same samples, or which are not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, sha256_lines
from manifests.errors import ManifestError, UsageError
from manifests.records import parse_json
from manifests.shardset import INDEX
from manifests.tables import read_table
from pipeline.engine import run_tasks
from pipeline.fingerprint import tools
from pipeline.frozen.marker import Marker, read_marker
from pipeline.frozen.match import (
    Match,
    Roots,
    Wanted,
    Workers,
    check_roots,
    match_sources,
    wanted_sources,
)
from pipeline.frozen.preflight import copy_lines, tool_lines
from pipeline.frozen.recipe import Recipe, load_recipe
from pipeline.frozen.rows import FrozenRow, SourceKey, source_keys
from pipeline.frozen.sound_search import search_by_sound
from pipeline.frozen.subset import Subset, check_subset
from pipeline.frozen.thaw_task import (
    THAW,
    ShardVerdicts,
    ThawHeader,
    ThawRow,
    rows_name,
    rows_text,
    shard_sha256,
    thaw_shard,
    thaw_url,
)
from pipeline.frozen.thawed_set import EXTRA_FILES, VERDICTS, finish_thaw
from pipeline.frozen.verdict import IDENTICAL, ExampleVerdict, Tally, tally, with_sources
from pipeline.frozen.write import folder_names
from pipeline.output import clear, locked
from pipeline.progress import Reporter, SilentReporter
from pipeline.shard_task import PLAN_FOLDER
from pipeline.sources import absolute_url
from pipeline.spec_files import is_spec, spec_refusal

_log = logging.getLogger(__name__)
_ADVICE: Final = "choose another --out or --overwrite"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ThawOptions:
    """How a recipe is thawed.

    Attributes:
        accept: verdict up to which examples go into the set: ``identical`` or ``1lsb``.
        subset: examples to thaw; None for all.
        jobs: worker processes.
        engine: ``loky`` or ``dask``.
        scheduler: address of a dask scheduler.
        overwrite: replace a thaw of other sources, or another set.
    """

    accept: str = IDENTICAL
    subset: Subset | None = None
    jobs: int = 1
    engine: str = "loky"
    scheduler: str | None = None
    overwrite: bool = False

    @property
    def workers(self) -> Workers:
        """Where tasks run."""
        return Workers(self.jobs, self.engine, self.scheduler)


@dataclass(frozen=True)
class Thawed:
    """What thawing found.

    Attributes:
        name: name of the recipe.
        recipe_id: its id.
        out: the set; empty where no example was accepted.
        accept: see ``ThawOptions``.
        tally: verdicts in numbers.
        verdicts: verdict on every example asked for, in the recipe's order.
        notes: what was said before rendering.
        n_resumed: shards that were already done.
    """

    name: str
    recipe_id: str
    out: str
    accept: str
    tally: Tally
    verdicts: tuple[ExampleVerdict, ...]
    notes: tuple[str, ...]
    n_resumed: int


@dataclass(frozen=True)
class Matched:
    """A recipe with what was found for it, before anything is rendered."""

    recipe: Recipe
    rows: tuple[FrozenRow, ...]
    wanted: tuple[Wanted, ...]
    matches: dict[SourceKey, Match]
    tools: dict[str, str]
    notes: tuple[str, ...]


def match_recipe(
    url: str,
    roots: Roots,
    options: ThawOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> Matched:
    """Load a recipe and find its sources; nothing is rendered.

    Args:
        url: path or URL of a recipe.
        roots: corpora by role.
        options: see ``ThawOptions``.
        reporter: shows progress.

    Raises:
        UsageError: a corpus is not given, or is not used by the recipe.
        ManifestError: the recipe is refused, or the subset belongs to another one.
    """
    options = options or ThawOptions()
    if is_spec(url):
        raise UsageError(spec_refusal(url))
    recipe = load_recipe(absolute_url(url))
    rows = recipe.rows
    if options.subset is not None:
        keys = {row.key for row in rows}
        check_subset(options.subset, recipe.header.recipe_id, keys, recipe.header.name)
        chosen = set(options.subset.keys)
        rows = tuple(row for row in rows if row.key in chosen)
    wanted = wanted_sources(rows, recipe.sources)
    check_roots(wanted, roots)
    here = tools(recipe.config.read)
    if here["decoder"].endswith("not found"):
        raise UsageError(f"{recipe.header.name}: was decoded with ffmpeg, which is not found here")
    show = reporter or SilentReporter()
    found = match_sources(
        wanted, roots, decoder=recipe.config.decoder, workers=options.workers, reporter=show
    )
    matches, notes = search_by_sound(
        rows,
        wanted,
        found.matches,
        found.unclaimed,
        recipe.config,
        roots,
        workers=options.workers,
        reporter=show,
    )
    lines = [*tool_lines(recipe.header.tools, here), *found.notes, *notes]
    lines += copy_lines(wanted, matches)
    return Matched(recipe, rows, tuple(wanted), matches, here, tuple(lines))


def thaw_recipe(
    url: str,
    out: str,
    roots: Roots,
    options: ThawOptions | None = None,
    *,
    say: Say = _log.info,
    reporter: Reporter | None = None,
) -> Thawed:
    """Thaw a recipe, or go on with a thaw that was interrupted.

    Args:
        url: path or URL of a recipe.
        out: path or URL of the set.
        roots: corpora by role.
        options: see ``ThawOptions``.
        say: told, line by line, what is known before rendering begins.
        reporter: shows progress.

    Raises:
        UsageError: see ``match_recipe``.
        ManifestError: the recipe is refused, ``out`` holds something else, a source changed while
            it was read, the disk is full.
    """
    options, reporter = options or ThawOptions(), reporter or SilentReporter()
    out = absolute_url(out)
    if store.scheme(out) == "memory" and (options.jobs > 1 or options.engine != "loky"):
        raise UsageError(f"{out}: lives in this process alone: expected --jobs 1")
    matched = match_recipe(url, roots, options, reporter=reporter)
    for line in matched.notes:
        say(line)
    header = ThawHeader(
        recipe_id=matched.recipe.header.recipe_id,
        config=matched.recipe.config,
        accept=options.accept,
        tools=matched.tools,
        roots={
            role: {name: absolute_url(root) for name, root in named.items()}
            for role, named in roots.roots.items()
        },
    )
    shards = _shard_texts(matched)
    hashes = [shard_sha256(header, text) for text in shards.values()]
    marker = Marker(
        recipe_id=header.recipe_id,
        name=matched.recipe.header.name,
        n_examples=len(matched.recipe.rows),
        accept=options.accept,
        subset_id=options.subset.subset_id if options.subset else None,
        request_sha256=sha256_lines([header.recipe_id, *hashes]),
    )
    with locked(out):
        if _prepare(out, header, marker, overwrite=options.overwrite):
            return _thaw(out, matched, header, marker, shards, options, reporter)
        verdicts = read_table(store.join(out, VERDICTS), ExampleVerdict)
    return _result(out, matched, options, verdicts, n_resumed=len(shards))


def _shard_texts(matched: Matched) -> dict[int, str]:
    """Return the task rows of each shard as text."""
    sketches = {
        row.key: texts
        for row, texts in zip(matched.recipe.rows, matched.recipe.sketches, strict=True)
    }
    shards: dict[int, list[ThawRow]] = {}
    for row in matched.rows:
        keys = source_keys(row)
        item = ThawRow(
            row=row,
            sketches=sketches[row.key],
            sources=tuple(matched.recipe.sources[key] for key in keys),
            matches=tuple(matched.matches[key] for key in keys),
        )
        shards.setdefault(row.shard, []).append(item)
    return {number: rows_text(rows) for number, rows in sorted(shards.items())}


def _prepare(out: str, header: ThawHeader, marker: Marker, *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or this very thaw, begun or finished.

    Returns:
        Whether there is work to do: False where the thaw is finished.
    """
    names = [name for name in folder_names(out) if not name.endswith(".partial")]
    if not [name for name in names if not name.startswith(".") or name == PLAN_FOLDER]:
        return True
    if INDEX not in names and PLAN_FOLDER not in names:
        raise ManifestError(
            f"{out}: expected a new folder, an empty one or this thaw, found "
            f"{', '.join(names[:3])}; choose another --out (--overwrite removes sets only)"
        )
    known = read_marker(out) if INDEX in names else None
    if known == marker and VERDICTS in names:
        store.remove(store.join(out, PLAN_FOLDER))
        return False
    if overwrite:
        clear(out)
        for name in EXTRA_FILES:
            store.remove(store.join(out, name))
        return True
    if INDEX not in names and _begun(out) == header.recipe_id:
        return True
    if known is not None and known.recipe_id == marker.recipe_id:
        what = "a thaw of this recipe with other options, tools or sources"
    else:
        what = "another set" if INDEX in names else "the beginning of another set"
    raise ManifestError(f"{out}: holds {what}; {_ADVICE}")


def _begun(out: str) -> str | None:
    """Return the recipe of a thaw that was interrupted; None for anything else."""
    url = thaw_url(out, THAW)
    if not store.exists(url):
        return None
    record = parse_json(store.read_bytes(url), url)
    return str(record.get("recipe_id")) if isinstance(record, dict) else None


def _thaw(
    out: str,
    matched: Matched,
    header: ThawHeader,
    marker: Marker,
    shards: dict[int, str],
    options: ThawOptions,
    reporter: Reporter,
) -> Thawed:
    store.remove_partials(out)
    store.remove_partials(store.join(out, PLAN_FOLDER))
    store.write_text(thaw_url(out, THAW), canonical_json(header) + "\n")
    for number, text in shards.items():
        store.write_text(thaw_url(out, rows_name(number)), text)
    found: dict[int, ShardVerdicts] = {}
    label = f"thaw {matched.recipe.header.name}"
    with reporter.track(label, len(matched.rows), "examples") as advance:
        for shard in run_tasks(
            thaw_shard,
            [(out, number) for number in shards],
            jobs=options.jobs,
            engine=options.engine,
            scheduler=options.scheduler,
        ):
            found[shard.number] = shard
            advance(len(shard.verdicts))
    ordered = [found[number] for number in shards]
    by_key = {verdict.key: verdict for shard in ordered for verdict in shard.verdicts}
    verdicts = with_sources(matched.rows, by_key, matched.matches)
    counted = tally(verdicts, options.accept)
    if counted.n_accepted:
        finish_thaw(out, matched.recipe, marker, ordered, verdicts, counted, matched.tools)
    else:
        clear(out)
    n_resumed = sum(shard.resumed for shard in ordered)
    return _result(out, matched, options, verdicts, n_resumed=n_resumed)


def _result(
    out: str,
    matched: Matched,
    options: ThawOptions,
    verdicts: Sequence[ExampleVerdict],
    *,
    n_resumed: int,
) -> Thawed:
    counted = tally(verdicts, options.accept)
    return Thawed(
        name=matched.recipe.header.name,
        recipe_id=matched.recipe.header.recipe_id,
        out=out if counted.n_accepted else "",
        accept=options.accept,
        tally=counted,
        verdicts=tuple(verdicts),
        notes=matched.notes,
        n_resumed=n_resumed,
    )
