"""``prep verify``: is a set whole and as it says?"""

from __future__ import annotations

from dataclasses import asdict

import click

from manifests.canonical import pretty_json
from manifests.shardset import sets_of
from pipeline.cli.options import as_json, cores
from pipeline.progress import reporter
from pipeline.stages.verify import verify_set


@click.command("verify")
@click.argument("sets", nargs=-1, required=True, metavar="SET|SUITE...")
@click.option("--files-only", is_flag=True, help="Compare file hashes only; decode nothing.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: cores]")
@as_json
@click.pass_context
def verify_command(
    ctx: click.Context,
    /,
    sets: tuple[str, ...],
    files_only: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Check sets: every file's hash, every example's members, samples and SNR.

    Exit status 1 where anything differs; each difference names file and example.
    """
    show = reporter(quiet=as_json)
    verdicts = [
        verify_set(url, files_only=files_only, jobs=jobs or cores(), reporter=show)
        for given in sets
        for url in sets_of(given)
    ]
    if as_json:
        click.echo(pretty_json([asdict(verdict) for verdict in verdicts]), nl=False)
    for verdict in [] if as_json else verdicts:
        for problem in verdict.problems[:50]:
            click.echo(problem)
        if len(verdict.problems) > 50:
            click.echo(f"… and {len(verdict.problems) - 50} more")
        state = f"{len(verdict.problems)} problems" if verdict.problems else "verified"
        decoded = "" if files_only else f", {verdict.n_examples:,} examples decoded and measured"
        click.echo(f"{verdict.name}: {verdict.n_files} files{decoded}: {state}")
    if any(verdict.problems for verdict in verdicts):
        ctx.exit(1)
