"""Prepare a build: scan every corpus once, make the vocabularies, plan one set or a whole suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from manifests.errors import UsageError
from pipeline.band import band_note
from pipeline.config import RunOptions, SetConfig
from pipeline.leaks import leak_notes, undivided_notes
from pipeline.planned import Plan
from pipeline.progress import Reporter
from pipeline.sources import Sources, corpus_defaults, identity_options, named_by_content
from pipeline.stages.plan import plan_set, plan_sets, resolve_band_hz, restricted
from pipeline.stages.scan import Scan, ScanOptions, scan
from pipeline.suite_spec import SuiteSpec
from pipeline.tags import ALL, FIXED_LISTS, TagFilter, TagVocabulary, build_vocabulary

Scans = Mapping[tuple[str, str], Scan]
"""Scans by role and corpus name."""


def scan_sources(
    sources: Sources, *, decoder: str, run: RunOptions, reporter: Reporter
) -> dict[tuple[str, str], Scan]:
    """Scan every corpus of the sources."""
    options = ScanOptions(
        decoder=decoder, jobs=run.jobs, engine=run.engine, scheduler=run.scheduler
    )
    return {
        (role, name): scan(
            name,
            root,
            metadata=sources.metadata_of(role, name),
            corpus_options=sources.options_of(role, name),
            options=options,
            reporter=reporter,
        )
        for role, roots in sources.roots.items()
        for name, root in roots.items()
    }


def vocabulary_of(
    music: Sequence[Scan], tag_filter: TagFilter, *, beside: Iterable[Scan] = ()
) -> TagVocabulary:
    """Return the tag vocabulary over the music corpora of a set.

    Args:
        music: scans of the set's music corpora.
        tag_filter: what is asked.
        beside: scans of the music of the suite's other sets, for which the same is asked.
    """
    return build_vocabulary(
        (clip for s in music for clip in s.clips),
        tag_filter,
        corpora=[s.corpus for s in music],
        elsewhere={tag for s in beside for clip in s.clips for tag in clip.tags},
    )


def with_corpus_options(config: SetConfig, sources: Sources) -> SetConfig:
    """Return the config with the options of its own corpora, defaults filled in."""
    chosen: dict[str, Any] = {}
    for name in (*config.music, *config.noise):
        defaults = corpus_defaults(name)
        given = {k: v for k, v in sources.corpus_options.items() if k in defaults}
        chosen |= {**defaults, **given}
    return replace(config, corpus_options=identity_options(chosen))


def identity_of_tags(tag_filter: TagFilter) -> dict[str, Any]:
    """Return what was asked of the tags as it goes into a set's identity."""
    select, merge = tag_filter.select, tag_filter.merge
    by_name = select is None or select == ALL or select in FIXED_LISTS
    return {
        "select": select if by_name else named_by_content(str(select)),
        "min_clips": tag_filter.min_clips,
        "merge": named_by_content(merge) if merge else None,
        "drop": sorted(tag_filter.drop),
    }


def plan_single(
    config: SetConfig, sources: Sources, tag_filter: TagFilter, run: RunOptions, reporter: Reporter
) -> Plan:
    """Scan and plan one set over all the given corpora."""
    config = replace(config, music=tuple(sources.music), noise=tuple(sources.noise))
    config = with_corpus_options(config, sources)
    config = replace(config, tag_options=identity_of_tags(tag_filter))
    config = replace(config, name=config.name or default_name(config))
    scans = scan_sources(sources, decoder=config.decoder, run=run, reporter=reporter)
    music = [scans["music", name] for name in config.music]
    noise = [scans["noise", name] for name in config.noise]
    vocabulary = vocabulary_of(music, tag_filter)
    band_hz = resolve_band_hz(config, music, noise)
    plan = plan_set(config, music, noise, vocabulary, band_hz=band_hz)
    notes = (*leak_notes(music, noise), *undivided_notes(music, config.split))
    return with_notes(plan, (*band_notes(config, band_hz, [*music, *noise]), *notes))


def band_notes(config: SetConfig, band_hz: float | None, scans: Iterable[Scan]) -> list[str]:
    """Return which corpus sets the band, where one does."""
    note = band_note(config, band_hz, [s.clips for s in scans])
    return [note] if note else []


def with_notes(plan: Plan, notes: Sequence[str]) -> Plan:
    """Return a plan with more facts for people; its rows and its identity stay as they are."""
    return replace(plan, notes=(*plan.notes, *notes))


def default_name(config: SetConfig) -> str:
    """Return a set's name from what is in it, e.g. ``mtat-test-x-musan-k1``."""
    music = f"{'-'.join(config.music)}-{config.split}"
    if not config.noise:
        return f"{music}-recordings"
    return f"{music}-x-{'-'.join(config.noise)}-k{config.noises}"


def plan_suite(
    spec: SuiteSpec,
    base: SetConfig,
    sources: Sources,
    tag_filter: TagFilter,
    run: RunOptions,
    reporter: Reporter,
    *,
    noise_counts: Sequence[int],
) -> tuple[dict[int, dict[str, Plan]], list[str]]:
    """Scan once and plan every set of a suite for every number of noises.

    Args:
        spec: the suite.
        base: config that the suite's values are laid over: seed, codec, limit, resampler.
        sources: corpora; roles that need another one are left out.
        tag_filter: tags, the same for all sets of a corpus.
        run: workers.
        reporter: shows progress.
        noise_counts: numbers of noises, e.g. (1, 2, 4).

    Returns:
        Plans by number of noises and role, and the roles left out with the corpus they need.

    Raises:
        UsageError: no role can be built from the given corpora.
    """
    base = replace(base, tag_options=identity_of_tags(tag_filter))
    configs, left_out = _role_configs(spec, base, sources)
    if not configs:
        raise UsageError(f"--suite {spec.name}: no set can be built: {'; '.join(left_out)}")
    sources = _used(configs.values(), sources)
    scans = scan_sources(sources, decoder=base.decoder, run=run, reporter=reporter)
    every = [scans[key] for key in sorted(scans)]
    all_music = [scans[key] for key in sorted(scans) if key[0] == "music"]
    band_hz = resolve_band_hz(base, every, [])
    of_band = band_notes(base, band_hz, every)
    vocabularies: dict[tuple[str, ...], TagVocabulary] = {}
    leaks: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}
    plans: dict[int, dict[str, Plan]] = {k: {} for k in noise_counts}
    for role, config in configs.items():
        music = [scans["music", name] for name in config.music]
        noise = [scans["noise", name] for name in config.noise]
        if config.music not in vocabularies:
            vocabularies[config.music] = vocabulary_of(music, tag_filter, beside=all_music)
        corpora = config.music, config.noise
        if corpora not in leaks:
            leaks[corpora] = leak_notes(music, noise)
        named = [
            replace(config, noises=k, name=f"{spec.name}-{role}-k{k}", limit=None)
            for k in noise_counts
        ]
        vocabulary = vocabularies[config.music]
        found = plan_sets(named, music, noise, vocabulary, band_hz=band_hz)
        for k, plan in zip(noise_counts, found, strict=True):
            notes = (*of_band, *leaks[corpora], *undivided_notes(music, config.split))
            plans[k][role] = with_notes(plan, notes)
    return agree_on_keys(plans, base.limit), left_out


def _used(configs: Iterable[SetConfig], sources: Sources) -> Sources:
    """Return the sources without the corpora that no set uses: nobody waits for their scan."""
    every = list(configs)
    music = {name for config in every for name in config.music}
    noise = {name for config in every for name in config.noise}
    return replace(
        sources,
        music={name: root for name, root in sources.music.items() if name in music},
        noise={name: root for name, root in sources.noise.items() if name in noise},
    )


def _role_configs(
    spec: SuiteSpec, base: SetConfig, sources: Sources
) -> tuple[dict[str, SetConfig], list[str]]:
    configs, left_out = {}, []
    for role, values in spec.sets.items():
        missing = [f"--music {n}" for n in values["music"] if n not in sources.music]
        missing += [f"--noise {n}" for n in values["noise"] if n not in sources.noise]
        if missing:
            left_out.append(f"{role}: needs {' and '.join(missing)}")
        else:
            configs[role] = with_corpus_options(replace(base, **values), sources)
    return configs, left_out


def agree_on_keys(
    plans: Mapping[int, Mapping[str, Plan]], limit: int | None
) -> dict[int, dict[str, Plan]]:
    """Give sets that share music the same keys, and apply ``--limit`` to what they share.

    An example may be rejected under one noise corpus or number of noises and not under another;
    what one set leaves out, all sets of the same music leave out.

    Args:
        plans: plans without a limit, by number of noises and role.
        limit: examples to keep in each, by smallest hash; None keeps all.
    """
    common: dict[tuple[Any, ...], set[str]] = {}
    for roles in plans.values():
        for plan in roles.values():
            keys = {row.key for row in plan.rows}
            music = _music_of(plan.config)
            common[music] = common[music] & keys if music in common else keys
    return {
        k: {
            role: restricted(plan, common[_music_of(plan.config)], limit)
            for role, plan in roles.items()
        }
        for k, roles in plans.items()
    }


def _music_of(config: SetConfig) -> tuple[Any, ...]:
    return config.music, config.split, config.excerpt_s, config.excerpts_per_track
