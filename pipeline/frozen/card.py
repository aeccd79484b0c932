"""The README of a recipe and of a thawed set: what, counts, licences, how to thaw and to score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from manifests.keys import format_snr
from pipeline.corpora import CORPORA
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.marker import Marker
from pipeline.frozen.recipe import ATTRIBUTION, Recipe, RecipeHeader
from pipeline.frozen.rows import FrozenRow, FrozenSource
from pipeline.frozen.verdict import Tally
from pipeline.markdown import cell, table


def corpora_of(sources: Iterable[FrozenSource]) -> dict[str, list[str]]:
    """Return the corpora by role, sorted."""
    found: dict[str, set[str]] = {}
    for source in sources:
        found.setdefault(source.role, set()).add(source.corpus)
    return {role: sorted(names) for role, names in sorted(found.items())}


def description(config: FrozenConfig, sources: Iterable[FrozenSource]) -> str:
    """Return what a set is, in one sentence."""
    corpora = corpora_of(sources)
    music = " + ".join(corpora.get("music", []))
    if not config.n_noises:
        return f"Recordings of {music} (split {config.split}), 22,050 Hz mono, as they are."
    snrs = ", ".join(format_snr(s) for s in config.snrs_db)
    band = f"both below {config.band_hz:,.0f} Hz" if config.band_hz else "full band"
    return (
        f"Music of {music} (split {config.split}), clean and under noise of "
        f"{' + '.join(corpora.get('noise', []))} at {snrs} dB, {config.n_noises} noise(s) a mix, "
        "22,050 Hz mono. SNR = total power of the music over total power of the summed noise, "
        f"over exactly the excerpt, {band}."
    )


def recipe_card(
    header: RecipeHeader,
    config: FrozenConfig,
    rows: Sequence[FrozenRow],
    sources: Sequence[FrozenSource],
) -> str:
    """Return the card of a recipe as Markdown; no time, host or path in it."""
    return "\n".join(
        [
            f"# {cell(header.name)}",
            "",
            description(config, sources),
            "",
            f"Recipe id: `{header.recipe_id}`",
            "",
            "A frozen evaluation set: everything that is needed to rebuild it from one's own, "
            "licensed copies of the corpora, and to prove that the samples are the same. "
            + ("The shards are in this folder too." if header.with_audio else "It holds no audio."),
            "",
            *_how_to(header, sources),
            "## Counts",
            "",
            *table(("what", "count"), [(k, f"{v:,.10g}") for k, v in header.counts.items()]),
            "",
            *_tags(header, rows),
            *_notes(header),
            "## Licences",
            "",
            *licence_table(sources),
            "",
            f"`{ATTRIBUTION}` names every source with its artist and licence. What was done to "
            "them: averaged to mono, resampled, cut, scaled, and music and noise mixed. This is "
            "not legal advice: whoever passes audio on needs the right to do so for every source.",
            "",
            *citations(corpora_of(sources)),
            "## Made with",
            "",
            *table(("tool", "version"), sorted(header.tools.items())),
            "",
            "Another decoder or resampler, or another version of one, may give other samples; "
            "`prep thaw` says so before it renders.",
            "",
        ]
    )


def _how_to(header: RecipeHeader, sources: Sequence[FrozenSource]) -> list[str]:
    """Return the sections on thawing and scoring."""
    corpora = corpora_of(sources)
    roots = [f"--{role} {name}=DIR" for role, names in corpora.items() for name in names]
    thaw = f"prep thaw {header.name} {' '.join(roots)} --out SET"
    return [
        "## Thaw",
        "",
        f"```\n{thaw}\n```",
        "",
        "Exit status 0 means that every example was there and came out identical. What a team "
        "cannot rebuild it leaves out with `--common-subset`; `prep subset A B -o C` keeps "
        "what all teams have.",
        "",
        "## Score",
        "",
        "```\ntrain evaluate --checkpoint RUN --shards SET [--subset NAME.subset.json]\n```",
        "",
        "Scores carry the recipe id and the id of the subset; name both beside every figure.",
        "",
    ]


def licence_table(sources: Iterable[FrozenSource]) -> list[str]:
    """Return the table of licences by role and corpus."""
    counts = Counter((s.role, s.corpus, s.licence or "unknown") for s in sources)
    rows = [(*key, f"{n:,}") for key, n in sorted(counts.items())]
    return table(("role", "corpus", "licence", "sources"), rows)


def citations(corpora: dict[str, list[str]]) -> list[str]:
    """Return the section with the BibTeX entries of the corpora."""
    names = sorted({name for group in corpora.values() for name in group})
    entries = [CORPORA[name].CITATION.strip() for name in names if name in CORPORA]
    shown = [f"```\n{entry}\n```\n" for entry in entries if entry]
    return ["## Citation", "", *shown] if shown else []


def _tags(header: RecipeHeader, rows: Sequence[FrozenRow]) -> list[str]:
    if not header.tags:
        return []
    used = Counter(tag for row in rows for tag in row.tags)
    lines = table(("tag", "examples"), [(tag, f"{used[tag]:,}") for tag in header.tags])
    return ["## Tags", "", *lines, ""]


def _notes(header: RecipeHeader) -> list[str]:
    if not header.notes:
        return []
    return ["## Notes", "", *(f"* {cell(note)}" for note in header.notes), ""]


def thawed_card(
    recipe: Recipe, marker: Marker, counted: Tally, sources: Sequence[FrozenSource]
) -> str:
    """Return the card of a thawed set as Markdown."""
    subset = f", of subset `{marker.subset_id}`" if marker.subset_id else ""
    whole = "all" if counted.n_accepted == len(recipe.rows) else "a part"
    return "\n".join(
        [
            f"# {cell(recipe.config.name)}, thawed",
            "",
            description(recipe.config, sources),
            "",
            f"Rebuilt from recipe {cell(marker.name)}, id `{marker.recipe_id}`{subset}. This set "
            f"holds {whole} of its {len(recipe.rows):,} examples, each accepted as "
            f"`{marker.accept}`; `verdicts.parquet` says so of every example, and why not.",
            "",
            "## Verdicts",
            "",
            *table(("verdict", "examples"), [(k, f"{n:,}") for k, n in counted.verdicts.items()]),
            "",
            *table(("sources", "examples"), [(k, f"{n:,}") for k, n in counted.sources.items()]),
            "",
            "## Licences",
            "",
            *licence_table(sources),
            "",
            *citations(corpora_of(sources)),
        ]
    )
