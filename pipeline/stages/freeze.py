"""Freeze: a finished set -> a recipe of a few megabytes that another team can rebuild it from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.shardset import INDEX, ShardSet, load_set
from pipeline.engine import run_tasks
from pipeline.frozen.from_set import FrozenShard, add_sources, example_sources, freeze_shard
from pipeline.frozen.frozen_config import frozen_config
from pipeline.frozen.load import parse_recipe
from pipeline.frozen.marker import Marker, check_unmarked, mark_frozen
from pipeline.frozen.match import Wanted, check_roots
from pipeline.frozen.own_copy import locate_originals
from pipeline.frozen.recipe import (
    CHECKSUMS,
    FORMAT,
    RECIPE_VERSION,
    TAGS,
    Recipe,
    RecipeHeader,
    check_recipe_name,
    is_recipe,
    recipe_id,
)
from pipeline.frozen.rows import MUSIC, FrozenSource, SourceKey
from pipeline.frozen.verdict import IDENTICAL
from pipeline.frozen.with_audio import check_licences, copy_files, set_files
from pipeline.frozen.write import (
    check_folder,
    check_target,
    recipe_files,
    remove_leftovers,
    write_files,
)
from pipeline.leaks import leak_lines, leaks_between
from pipeline.progress import Reporter, SilentReporter
from pipeline.set_files import read_checksums
from pipeline.sources import Sources, absolute_url


@dataclass(frozen=True)
class FreezeOptions:
    """How a set is frozen.

    Attributes:
        with_audio: put the shards into the recipe's folder as well.
        force: do so though a licence forbids it.
        against: training sets that the leak guard compares the set with.
        roots: the corpora that the set was built from, for names and sizes of the sources.
        jobs: worker processes.
    """

    with_audio: bool = False
    force: bool = False
    against: tuple[str, ...] = ()
    roots: Sources | None = None
    jobs: int = 1


@dataclass(frozen=True)
class FreezeSummary:
    """What was frozen.

    Attributes:
        name: name of the recipe.
        out: its folder.
        recipe_id: its id.
        n_examples: examples in it.
        n_sources: source files that they need.
        n_bytes: size of the recipe's own files.
        written: False where this very recipe was there already.
        notes: facts for people.
    """

    name: str
    out: str
    recipe_id: str
    n_examples: int
    n_sources: int
    n_bytes: int
    written: bool
    notes: tuple[str, ...]


def freeze_set(
    url: str,
    out: str,
    options: FreezeOptions | None = None,
    *,
    reporter: Reporter | None = None,
) -> FreezeSummary:
    """Freeze a set; the same set gives the same bytes and the same id on every machine.

    Args:
        url: path or URL of a finished set.
        out: folder of the recipe; its name ends in a version, ``NAME.v1``.
        options: see ``FreezeOptions``.
        reporter: shows progress.

    Raises:
        ManifestError: it is no set, or a damaged one, a licence forbids passing the audio on, the
            folder holds another recipe, or the set belongs to another recipe.
    """
    options, reporter = options or FreezeOptions(), reporter or SilentReporter()
    url, out = absolute_url(url), absolute_url(out)
    name = check_recipe_name(out)
    if is_recipe(url) and not store.exists(store.join(url, INDEX)):
        raise ManifestError(
            f"{url}: expected a set, got a recipe without audio; prep thaw rebuilds its set"
        )
    check_folder(out)
    shard_set = load_set(url)
    sources = _sources(shard_set)
    if options.roots is not None:
        check_roots([Wanted(source, 0, False) for source in sources.values()], options.roots)
    notes = list(_leak_notes(url, options.against))
    if options.with_audio:
        notes += check_licences(sources.values(), force=options.force)
    copied = set_files(read_checksums(url), shard_set) if options.with_audio else {}
    shards = _decoded(shard_set, options.jobs, reporter)
    notes_here = _add_places(sources, options)
    recipe = _recipe(shard_set, name, shards, sources, tuple(notes), options.with_audio)
    files = recipe_files(recipe, copied)
    parse_recipe(files, out)  # what the other team will do: nothing is written that it refuses
    check_unmarked(url, recipe.header.recipe_id)
    written = check_target(out, files)
    if written:
        _write(url, out, files, copied)
    notes_here += _mark(url, recipe.header)
    return FreezeSummary(
        name=name,
        out=out,
        recipe_id=recipe.header.recipe_id,
        n_examples=len(recipe.rows),
        n_sources=len(sources),
        n_bytes=sum(map(len, files.values())),
        written=written,
        notes=(*notes, *notes_here),
    )


def _write(url: str, out: str, files: dict[str, bytes], copied: dict[str, str]) -> None:
    """Write a recipe's files, then the audio, its index last, then the manifest.

    So a freeze that is cut short is no recipe and no set, and is known as what it is.
    """
    remove_leftovers(out, {*files, *copied})
    write_files(out, {name: data for name, data in files.items() if name != CHECKSUMS})
    copy_files(url, out, copied)
    write_files(out, {CHECKSUMS: files[CHECKSUMS]})


def _sources(shard_set: ShardSet) -> dict[SourceKey, FrozenSource]:
    """Return the sources of a set by its sidecars: what is wrong with them is said at once."""
    sources: dict[SourceKey, FrozenSource] = {}
    for _, entry in shard_set.entries():
        add_sources(sources, example_sources(entry.record))
    return sources


def _add_places(sources: dict[SourceKey, FrozenSource], options: FreezeOptions) -> list[str]:
    """Fill in path and size of the sources from the corpora that were given; returns notes."""
    if options.roots is None:
        return []
    found, notes = locate_originals(list(sources.values()), options.roots, options.jobs)
    sources |= found
    return notes


def _decoded(shard_set: ShardSet, jobs: int, reporter: Reporter) -> list[FrozenShard]:
    """Decode all shards and return their rows in order."""
    numbers = range(len(shard_set.index.shards))
    found: dict[int, FrozenShard] = {}
    label = f"freeze {shard_set.index.name}"
    with reporter.track(label, len(numbers), "shards") as advance:
        for shard in run_tasks(freeze_shard, [(shard_set.url, n) for n in numbers], jobs=jobs):
            found[shard.number] = shard
            advance(1)
    return [found[number] for number in numbers]


def _recipe(
    shard_set: ShardSet,
    name: str,
    shards: Sequence[FrozenShard],
    sources: dict[SourceKey, FrozenSource],
    notes: tuple[str, ...],
    with_audio: bool,
) -> Recipe:
    index = shard_set.index
    rows = tuple(row for shard in shards for row in shard.rows)
    n_music = sum(source.role == MUSIC for source in sources.values())
    header = RecipeHeader(
        format=FORMAT,
        format_version=RECIPE_VERSION,
        name=name,
        recipe_id=recipe_id(index.config, index.tags, [canonical_json(row) for row in rows]),
        config=index.config,
        tags=index.tags,
        plan_sha256=index.plan_sha256,
        counts={
            "examples": len(rows),
            "songs": len({(row.music.corpus, row.music.song) for row in rows}),
            "seconds": index.counts["seconds"],
            "music_sources": n_music,
            "noise_sources": len(sources) - n_music,
        },
        tools=index.tools,
        notes=notes,
        with_audio=with_audio,
    )
    config = frozen_config(index.config, INDEX)
    sketches = tuple(text for shard in shards for text in shard.sketches)
    tags_json = store.read_bytes(store.join(shard_set.url, TAGS))
    return Recipe(header, config, rows, sources, sketches, tags_json)


def _leak_notes(url: str, against: Sequence[str]) -> list[str]:
    if not against:
        return []
    found = leaks_between(url, [absolute_url(other) for other in against])
    return leak_lines(found) or ["leak guard: nothing shared with the training sets compared"]


def _mark(url: str, header: RecipeHeader) -> list[str]:
    """Write the recipe's id into the frozen set, so that scores on it carry the id."""
    marker = Marker(
        recipe_id=header.recipe_id,
        name=header.name,
        n_examples=int(header.counts["examples"]),
        accept=IDENTICAL,
        subset_id=None,
        request_sha256="",
    )
    try:
        mark_frozen(url, marker)
    except ManifestError as error:
        return [f"{error}; scores on {url} will not carry the recipe's id"]
    return []


def summary_lines(summary: FreezeSummary) -> list[str]:
    """Return the summary for people."""
    state = "written" if summary.written else "was there already, nothing to do"
    return [
        f"{summary.name}: {summary.n_examples:,} examples from {summary.n_sources:,} sources, "
        f"{summary.n_bytes / 1e6:.2f} MB, {state}",
        f"  recipe id {summary.recipe_id}",
        *(f"  {note}" for note in summary.notes),
        f"  {summary.out}",
    ]
