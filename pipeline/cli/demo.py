"""``prep demo-corpora``: small synthetic corpora to try everything on."""

from __future__ import annotations

from pathlib import Path

import click

from manifests.canonical import pretty_json
from pipeline.cli.options import as_json, cores
from pipeline.demo import PRETRAIN_SONGS, plan_demo_corpora, write_demo_corpora
from pipeline.progress import reporter


@click.command("demo-corpora")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the synthesis."
)
@click.option(
    "--train-scale",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Factor on MagnaTagATune's training songs and AudioSet's training segments; what is "
    "validated and tested on stays the same.",
)
@click.option(
    "--pretrain-songs",
    type=click.IntRange(0),
    default=PRETRAIN_SONGS,
    show_default=True,
    help="Further training songs of MTG-Jamendo, 5 s each, for stage 1 to learn from.",
)
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: cores]")
@as_json
def demo_corpora(
    directory: Path,
    seed: int,
    train_scale: int,
    pretrain_songs: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Write small synthetic corpora in the four official layouts into DIR.

    The music's tags can be heard, some files are broken on purpose, and twenty recordings of music
    beside noise, with tags, stand in for real video sound. The same seed gives the same files.
    """
    total = sum(len(plan.files) for plan in plan_demo_corpora(seed, train_scale, pretrain_songs))
    with reporter(quiet=as_json).track("demo corpora", total, "files") as advance:
        summary = write_demo_corpora(
            directory,
            seed=seed,
            train_scale=train_scale,
            pretrain_songs=pretrain_songs,
            jobs=jobs or cores(),
            progress=lambda _done, _total: advance(1),
        )
    if as_json:
        corpora = {
            name: {"files": n, "seconds": round(s, 1), "bytes": b}
            for name, (n, s, b) in summary.corpora.items()
        }
        rejects = [list(reject) for reject in summary.expected_rejects]
        record = {"corpora": corpora, "expected_rejects": rejects}
        click.echo(pretty_json(record), nl=False)
        return
    for name, (n_files, seconds, n_bytes) in summary.corpora.items():
        click.echo(f"{name}: {n_files} files, {seconds / 60:.1f} min, {n_bytes / 1e6:.1f} MB")
    click.echo(f"{len(summary.expected_rejects)} files are broken on purpose")
