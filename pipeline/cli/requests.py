"""From option values to configs: what ``plan`` and ``build-shards`` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from manifests.errors import UsageError
from manifests.resample import expect_resampler
from pipeline.cli.frozen_options import given_corpus_options
from pipeline.cli.options import (
    check_scheduler,
    cores,
    expanded,
    not_shared,
    parse_noise_counts,
    parse_snrs,
)
from pipeline.cli.spec_options import stop_at_leaks, with_spec
from pipeline.config import DEFAULT_SNRS_DB, RunOptions, SetConfig
from pipeline.planned import Plan
from pipeline.progress import Reporter
from pipeline.sources import Sources, check_options_serve, make_sources
from pipeline.stages.prepare import plan_single, plan_suite
from pipeline.suite_spec import SuiteSpec, load_suite_spec
from pipeline.tags import TagFilter


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    sources: Sources
    config: SetConfig
    tag_filter: TagFilter
    run: RunOptions
    noise_counts: tuple[int, ...]
    suite: str | None
    explicit: frozenset[str] = frozenset()
    forbid_leaks: bool = False


def make_request(values: Mapping[str, Any], explicit: set[str]) -> Request:
    """Turn option values into a request.

    Args:
        values: click's parameters by name.
        explicit: names that the user gave, on the command line or in a config file.

    Raises:
        UsageError: options that do not fit together.
    """
    if values.get("spec"):
        values, explicit = with_spec(values, explicit)
    given = given_corpus_options(values)
    check_scheduler(values["engine"], values["scheduler"])
    sources = make_sources(values["music"], values["noise"], values["metadata"], given)
    check_options_serve(not_shared(given), tuple(dict.fromkeys((*sources.music, *sources.noise))))
    if not sources.noise:
        _check_recordings_options(not_shared(explicit))
    counts = parse_noise_counts(values["noises"])
    suite = values.get("suite")
    if suite:
        _check_suite_options(explicit)
        _check_suite_corpora(load_suite_spec(suite), sources)
    elif len(counts) > 1:
        raise UsageError("--noises: expected one of 1, 2, 4 without --suite")
    named = {f.name: values[f.name] for f in fields(SetConfig) if f.name in values}
    named |= {
        "snrs_db": parse_snrs(values["snr"]) if values["snr"] else DEFAULT_SNRS_DB,
        "noises": counts[0],
        "noise_split": values["noise_split"] or values["split"],
        "music": tuple(sources.music),
        "noise": tuple(sources.noise),
        "excerpt_s": str(values["excerpt_s"]),
        "band_limit": str(values["band_limit"]),
    }
    if suite and "band_limit" not in explicit:
        named["band_limit"] = load_suite_spec(suite).band_limit
    run = {f.name: values[f.name] for f in fields(RunOptions) if values.get(f.name) is not None}
    run["jobs"] = values["jobs"] or cores()
    tags = TagFilter(
        select=expanded(values["tags"]),
        min_clips=values["min_tag_clips"],
        merge=expanded(values["merge_tags"]),
        drop=tuple(values["drop_tag"]),
    )
    config, run_options = SetConfig(**named), RunOptions(**run)
    leaks = bool(values.get("forbid_leaks"))
    return Request(sources, config, tags, run_options, counts, suite, frozenset(explicit), leaks)


def _check_suite_options(explicit: set[str]) -> None:
    fixed = {"split", "noise_split", "snr", "excerpts_per_track", "halves", "name"} & explicit
    if fixed:
        shown = ", ".join("--" + name.replace("_", "-") for name in sorted(fixed))
        raise UsageError(f"{shown}: fixed by --suite; leave it out, or build a single set")


def _check_suite_corpora(spec: SuiteSpec, sources: Sources) -> None:
    for role, roots in sources.roots.items():
        known = sorted({name for values in spec.sets.values() for name in values[role]})
        if idle := [name for name in roots if name not in known]:
            raise UsageError(
                f"--{role} {idle[0]}: no set of --suite {spec.name} uses it; leave it out, or build "
                f"a single set (its {role}: {', '.join(known)})"
            )


def _check_recordings_options(explicit: set[str]) -> None:
    idle = {"snr", "noises", "noise_split", "min_noise_s"} & explicit
    if idle:
        shown = ", ".join("--" + name.replace("_", "-") for name in sorted(idle))
        raise UsageError(f"{shown}: nothing is mixed with --noise none; leave it out")


def _own_shard_size(spec: SuiteSpec, request: Request) -> SuiteSpec:
    """Let ``--examples-per-shard`` win over the suite, where it is given."""
    if "examples_per_shard" not in request.explicit:
        return spec
    sets = {
        role: {name: value for name, value in values.items() if name != "examples_per_shard"}
        for role, values in spec.sets.items()
    }
    return replace(spec, sets=sets)


def make_plans(
    request: Request, reporter: Reporter
) -> tuple[dict[tuple[int, str], Plan], list[str]]:
    """Scan and plan: plans by (noises, role), and the roles that were left out.

    The role of a single set is empty.
    """
    expect_resampler(request.config.resampler)
    if request.forbid_leaks:
        stop_at_leaks(request.sources, request.config, request.run, reporter)
    if request.suite is None:
        plan = plan_single(
            request.config, request.sources, request.tag_filter, request.run, reporter
        )
        return {(request.config.noises, ""): plan}, []
    plans, left_out = plan_suite(
        _own_shard_size(load_suite_spec(request.suite), request),
        request.config,
        request.sources,
        request.tag_filter,
        request.run,
        reporter,
        noise_counts=request.noise_counts,
    )
    return {(k, role): plan for k, roles in plans.items() for role, plan in roles.items()}, left_out
