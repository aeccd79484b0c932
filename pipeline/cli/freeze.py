"""``prep freeze``: a set -> a recipe to share."""

from __future__ import annotations

from dataclasses import asdict

import click

from manifests.canonical import pretty_json
from manifests.errors import UsageError
from pipeline.cli.frozen_options import corpus_roots, frozen_roots
from pipeline.cli.options import apply, as_json, cores
from pipeline.progress import reporter
from pipeline.stages.freeze import FreezeOptions, freeze_set, summary_lines


@click.command("freeze")
@click.argument("url", metavar="SET")
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="NAME.v1",
    help="Folder of the recipe; its name ends in its version.",
)
@click.option(
    "--with-audio",
    is_flag=True,
    help="Put the shards into it as well; refused where a licence forbids that.",
)
@click.option(
    "--force",
    is_flag=True,
    help="With --with-audio: include audio against its licence; you answer for it.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="SET",
    help="Training set that the set must share nothing with; what it shares is counted in the card. Repeatable.",
)
@apply(corpus_roots)
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: cores]")
@as_json
def freeze_command(
    url: str,
    out: str,
    with_audio: bool,
    force: bool,
    against: tuple[str, ...],
    music: tuple[str, ...],
    noise: tuple[str, ...],
    metadata: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Freeze a finished set as a recipe of a few megabytes, without audio.

    Every sample is decoded and checked first. The same set gives the same id on every machine, and
    the set is marked with it, so that scores on it carry the id. A recipe is never overwritten: a
    change is NAME.v2. With --music and --noise, the corpora that the set was built from, names and
    sizes of the sources go in too, and other teams find renamed files without reading all of theirs.
    """
    if force and not with_audio:
        raise UsageError("--force: expected --with-audio too, which alone asks for licences")
    roots = frozen_roots(music, noise, metadata)
    options = FreezeOptions(
        with_audio=with_audio,
        force=force,
        against=against,
        roots=roots if roots.music or roots.noise else None,
        jobs=jobs or cores(),
    )
    summary = freeze_set(url, out, options, reporter=reporter(quiet=as_json))
    if as_json:
        click.echo(pretty_json(asdict(summary)), nl=False)
    else:
        click.echo("\n".join(summary_lines(summary)))
