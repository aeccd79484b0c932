"""Match: load a recipe and find its sources in one's own copies; nothing is rendered."""

from __future__ import annotations

from dataclasses import dataclass

from manifests.errors import UsageError
from manifests.ffmpeg import finds_ffmpeg
from manifests.resample import expect_resampler
from manifests.subset import Subset
from pipeline.fingerprint import tools
from pipeline.frozen.load import load_recipe
from pipeline.frozen.match import (
    Match,
    Wanted,
    Workers,
    check_roots,
    wanted_sources,
    with_recipe_options,
)
from pipeline.frozen.own_copy import match_sources
from pipeline.frozen.preflight import copy_lines, tool_lines
from pipeline.frozen.recipe import Recipe, is_recipe
from pipeline.frozen.rows import FrozenRow, SourceKey
from pipeline.frozen.sound_search import search_by_sound
from pipeline.frozen.subset import check_subset
from pipeline.frozen.verdict import IDENTICAL
from pipeline.progress import Reporter, SilentReporter
from pipeline.sources import Sources, absolute_url
from pipeline.spec_files import is_spec, spec_refusal


@dataclass(frozen=True)
class ThawOptions:
    """How a recipe is thawed.

    Attributes:
        accept: verdict up to which examples go into the set: ``identical`` or ``1lsb``.
        subset: examples to thaw; None for all.
        jobs: worker processes.
        engine: ``loky`` or ``dask``.
        scheduler: address of a dask scheduler.
        overwrite: replace a thaw of other sources, or another set; hash the files of this one.
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
    roots: Sources,
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
    if is_spec(url) and not is_recipe(url):  # a recipe may be called as its spec is
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
    if recipe.config.decoder == "ffmpeg" and not finds_ffmpeg():
        raise UsageError(
            f"{recipe.header.name}: was decoded with ffmpeg, of which ffmpeg or ffprobe is not "
            "found here; install it"
        )
    expect_resampler(recipe.config.resampler)
    here = tools(recipe.config.read)
    show = reporter or SilentReporter()
    roots = with_recipe_options(roots, recipe.header.config)
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
