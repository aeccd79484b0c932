"""Thaw: a recipe and one's own copies of the corpora -> the same samples, or which are not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from manifests import store
from manifests.canonical import canonical_json, sha256_lines
from manifests.errors import UsageError
from manifests.tables import read_table
from pipeline.engine import run_tasks
from pipeline.frozen.marker import Marker
from pipeline.frozen.rows import source_keys
from pipeline.frozen.thaw_output import check_thaw_place, prepare_thaw
from pipeline.frozen.thaw_plan import (
    THAW,
    ShardVerdicts,
    ThawHeader,
    ThawRow,
    rows_name,
    rows_text,
    shard_sha256,
    thaw_url,
)
from pipeline.frozen.thaw_task import thaw_shard
from pipeline.frozen.thawed_set import VERDICTS, finish_thaw
from pipeline.frozen.verdict import ExampleVerdict, Tally, tally, with_sources
from pipeline.output import locked
from pipeline.progress import Reporter, SilentReporter
from pipeline.set_files import clear
from pipeline.shard_task import PLAN_FOLDER
from pipeline.sources import Sources, absolute_url
from pipeline.stages.match import Matched, ThawOptions, match_recipe

_log = logging.getLogger(__name__)
Say = Callable[[str], None]


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


def thaw_recipe(
    url: str,
    out: str,
    roots: Sources,
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
    check_thaw_place(out)
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
        if prepare_thaw(out, marker, overwrite=options.overwrite):
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
