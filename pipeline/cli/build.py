"""``prep build-shards``: scan, plan, render, audit, finish."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from manifests.shardset import INDEX, SUITE, load_suite
from pipeline.cli.options import apply, as_json
from pipeline.cli.requests import Request, make_plans, make_request
from pipeline.cli.set_options import set_options
from pipeline.cli.text import build_lines, human_bytes, plan_lines
from pipeline.cli.visible import visible
from pipeline.planned import Plan
from pipeline.progress import reporter
from pipeline.reject_limit import check_rejects
from pipeline.set_files import entries, refuse_others
from pipeline.sources import absolute_url
from pipeline.stages.build import BuildSummary, build_set, check_place
from pipeline.suite_spec import suite_names


def explicit_options(ctx: click.Context) -> set[str]:
    """Return the names of the options that the user gave."""
    default = click.core.ParameterSource.DEFAULT
    return {name for name in ctx.params if ctx.get_parameter_source(name) is not default}


suite_option = click.option(
    "--suite",
    type=click.Choice(suite_names()),
    help="Build all sets of a suite, with their splits, SNRs and excerpts.",
)


@click.command("build-shards")
@apply(set_options)
@suite_option
@click.option(
    "--audit/--no-audit",
    default=True,
    show_default=True,
    help="Decode every written member again and check it.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing set of another config; of the same, hash all files and build again "
    "what is damaged.",
)
@click.option(
    "--out", required=True, metavar="SET", help="Folder or fsspec URL of the set, or of the suite."
)
@as_json
@click.pass_context
def build_shards(ctx: click.Context, /, as_json: bool, out: str, **values: Any) -> None:
    """Build paired clean/noisy WebDataset shards at exact SNRs.

    Killed at any instant and run again, it goes on and ends with the same bytes, whatever --jobs
    and --engine.
    """
    request = make_request(values, explicit_options(ctx))
    show = reporter(quiet=as_json)
    out = absolute_url(out)
    if not request.suite:
        refuse_others(out, entries(out))
    plans, left_out = make_plans(request, show)
    roots, overwrite = request.sources.roots, request.run.overwrite
    targets = {(k, role): _target(out, k, role) for k, role in plans}
    for key, plan in plans.items():  # all of a suite before the first is rendered
        check_rejects(plan, request.run.max_reject_percent)
        check_place(plan, targets[key], roots, overwrite=overwrite)
    notes = list(dict.fromkeys(note for plan in plans.values() for note in plan.notes))
    if not as_json:
        click.echo("".join(f"{visible(note)}\n" for note in notes), nl=False, err=True)
    summaries = []
    for key, plan in plans.items():
        if not as_json:
            click.echo("\n".join(plan_lines(plan)), err=True)
        summaries.append(build_set(plan, targets[key], roots, run=request.run, reporter=show))
    if request.suite:
        _write_suites(out, plans)
    if as_json:
        sets = [asdict(summary) for summary in summaries]
        record = {"sets": sets, "left_out": left_out, "notes": notes}
        click.echo(pretty_json(record), nl=False)
    else:
        _say_done(summaries, left_out, request)


def _write_suites(out: str, plans: dict[tuple[int, str], Plan]) -> None:
    for k in sorted({k for k, _ in plans}):
        folder = store.join(out, f"k{k}")
        roles = {role: role for n, role in plans if n == k}
        store.write_text(store.join(folder, SUITE), pretty_json(_known_roles(folder) | roles))


def _known_roles(folder: str) -> dict[str, str]:
    """Return the roles of a suite that was built before, where their sets are still there."""
    if not store.exists(store.join(folder, SUITE)):
        return {}
    try:
        known = load_suite(folder)
    except ManifestError:
        return {}
    return {
        role: url.rpartition("/")[2]
        for role, url in known.items()
        if store.exists(store.join(url, INDEX))
    }


def _target(out: str, k: int, role: str) -> str:
    """Return the folder of a set; a single one has no role."""
    return store.join(out, f"k{k}", role) if role else out


def _say_done(summaries: list[BuildSummary], left_out: list[str], request: Request) -> None:
    for summary in summaries:
        click.echo("\n".join(build_lines(summary)))
    for line in left_out:
        click.echo(f"left out {line}")
    if len(summaries) > 1:
        total = sum(s.n_bytes for s in summaries)
        hours = sum(s.audio_hours for s in summaries)
        click.echo(
            f"{len(summaries)} sets, {sum(s.n_examples for s in summaries):,} examples, "
            f"{hours:,.2f} h of audio, {human_bytes(total)}"
        )
