"""``prep verify``: is a set whole and as it says?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import click

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError, UsageError
from manifests.shardset import INDEX, sets_of
from manifests.subset import Subset
from pipeline.cli.options import as_json, cores
from pipeline.cli.visible import visible
from pipeline.frozen.recipe import is_recipe
from pipeline.frozen.subset import load_subset
from pipeline.progress import Reporter, reporter
from pipeline.spec_files import is_spec, spec_refusal
from pipeline.stages.verify import Verdict, verify_set
from pipeline.stages.verify_recipe import subset_problems, verify_recipe


@click.command("verify")
@click.argument("sets", nargs=-1, required=True, metavar="SET|SUITE|RECIPE...")
@click.option(
    "--subset",
    metavar="FILE",
    help="Check too that a set or recipe holds all examples of a subset of its recipe.",
)
@click.option("--files-only", is_flag=True, help="Compare file hashes only; decode nothing.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: cores]")
@as_json
@click.pass_context
def verify_command(
    ctx: click.Context,
    /,
    sets: tuple[str, ...],
    subset: str | None,
    files_only: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Check sets: every file's hash, every example's members, samples and SNR; and recipes.

    Exit status 1 where anything differs; each difference names file and example.
    """
    show = reporter(quiet=as_json)
    chosen = load_subset(subset) if subset else None
    found = [
        item for given in sets for item in _verify(given, chosen, files_only, jobs or cores(), show)
    ]
    verdicts = [verdict for verdict, _ in found]
    if as_json:
        click.echo(pretty_json([asdict(verdict) for verdict in verdicts]), nl=False)
    for verdict, checked in [] if as_json else found:
        for problem in verdict.problems[:50]:
            click.echo(visible(problem))
        if len(verdict.problems) > 50:
            click.echo(f"… and {len(verdict.problems) - 50} more")
        state = f"{len(verdict.problems)} problems" if verdict.problems else "verified"
        examples = f", {verdict.n_examples:,} examples {checked}" if checked else ""
        click.echo(f"{visible(verdict.name)}: {verdict.n_files} files{examples}: {state}")
    if any(verdict.problems for verdict in verdicts):
        ctx.exit(1)


def _verify(
    given: str, subset: Subset | None, files_only: bool, jobs: int, show: Reporter
) -> Iterator[tuple[Verdict, str]]:
    """Verify what a path names: a recipe, a set, all sets of a suite; and say what was checked."""
    if is_recipe(given):
        yield verify_recipe(given, subset), "checked as rows"
        if not store.exists(store.join(given, INDEX)):
            return
    elif is_spec(given):
        raise UsageError(spec_refusal(given))
    elif store.is_local(given) and not store.exists(given):
        raise ManifestError(f"{given}: expected a set, a suite or a recipe, found nothing")
    for url in sets_of(given):
        verdict = verify_set(url, files_only=files_only, jobs=jobs, reporter=show)
        more = subset_problems(url, subset) if subset else []
        checked = "" if files_only else "decoded and measured"
        yield replace(verdict, problems=(*verdict.problems, *more)), checked
