"""``--spec`` and ``--forbid-leaks``: what they do to a request of ``plan`` and ``build-shards``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from manifests.errors import UsageError
from manifests.keys import format_snr
from pipeline.config import RunOptions, SetConfig
from pipeline.leaks import check_leaks, leak_notes, undivided_notes
from pipeline.progress import Reporter
from pipeline.sources import Sources, parse_named
from pipeline.spec_files import SetSpec, load_spec, spec_names
from pipeline.stages.prepare import scan_sources

spec_option = click.option("--spec", metavar="NAME", help=f"Build a ready-made evaluation set, with its splits, SNRs, noises and seed: {', '.join(spec_names())}.")  # fmt: skip
forbid_leaks = click.option("--forbid-leaks", is_flag=True, help="Stop where splits share a file, a song, a noise clip, or train and test an artist, or where music states no split.")  # fmt: skip


def with_spec(
    values: Mapping[str, Any], explicit: Collection[str]
) -> tuple[dict[str, Any], set[str]]:
    """Return option values with those of ``--spec`` laid over them, and the names that count as given.

    Raises:
        UsageError: ``--suite`` beside it, an option that the spec fixes, or other corpora than its.
    """
    spec = load_spec(values["spec"])
    if values.get("suite"):
        raise UsageError("--spec: expected no --suite beside it")
    fixed = _option_values(spec)
    if clash := sorted(
        (fixed.keys() | {"drop_tag", "merge_tags", "min_tag_clips"}) & set(explicit)
    ):
        shown = ", ".join("--" + name.replace("_", "-") for name in clash)
        raise UsageError(f"{shown}: fixed by --spec {spec.name}; leave it out")
    _check_corpora(spec, values)
    return {**values, **fixed}, {*explicit, *fixed}


def _option_values(spec: SetSpec) -> dict[str, Any]:
    """Return a spec as the options that would say the same."""
    fields = {k: v for k, v in spec.values.items() if k not in ("music", "noise", "snrs_db")}
    fields["noises"] = str(fields["noises"])
    fields["snr"] = tuple(format_snr(snr_db) for snr_db in spec.values["snrs_db"])
    return {**fields, **spec.corpus_options, "tags": spec.tags}


def _check_corpora(spec: SetSpec, values: Mapping[str, Any]) -> None:
    for role in ("music", "noise"):
        expected = spec.values[role]
        given = tuple(values[role])
        if given == ("none",) or tuple(parse_named(given, f"--{role}")) != expected:
            shown = " ".join(f"--{role} {name}=DIR" for name in expected)
            raise UsageError(f"--spec {spec.name}: expected {shown}, got {' '.join(given)}")


def stop_at_leaks(sources: Sources, config: SetConfig, run: RunOptions, reporter: Reporter) -> None:
    """Scan all splits of the corpora (from the cache where that was done) and refuse leaks.

    Raises:
        ManifestError: splits share something, or music of no stated split would serve several;
            counted and listed.
    """
    scans = scan_sources(sources, decoder=config.decoder, run=run, reporter=reporter)
    by_role = {r: [s for (role, _), s in scans.items() if role == r] for r in ("music", "noise")}
    music, noise = by_role["music"], by_role["noise"]
    check_leaks([*leak_notes(music, noise), *undivided_notes(music, config.split)])
