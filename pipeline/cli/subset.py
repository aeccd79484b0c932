"""``prep subset``: what several teams could all rebuild."""

from __future__ import annotations

import click

from manifests.canonical import pretty_json
from manifests.subset import write_subset
from pipeline.cli.options import as_json
from pipeline.frozen.subset import intersect, load_subset
from pipeline.sources import absolute_url


@click.command("subset")
@click.argument("files", nargs=-1, required=True, metavar="A B...")
@click.option("-o", "--out", required=True, metavar="C", help="Subset file to write.")
@as_json
def subset_command(files: tuple[str, ...], out: str, as_json: bool) -> None:
    """Intersect subsets of one recipe; a recipe itself stands for all its examples.

    The order does not matter, and teams that intersect the same subsets write the same file.
    """
    subsets = [load_subset(file) for file in files]
    found = intersect(subsets, files)
    write_subset(absolute_url(out), found)
    if as_json:
        record = {
            "out": out,
            "recipe_id": found.recipe_id,
            "accept": found.accept,
            "subset_id": found.subset_id,
            "examples": len(found.keys),
        }
        click.echo(pretty_json(record), nl=False)
        return
    for file, subset in zip(files, subsets, strict=True):
        click.echo(f"{file}: {len(subset.keys):,} examples ({subset.accept})")
    click.echo(f"{out}: {len(found.keys):,} examples in common ({found.accept})")
    click.echo(f"  subset id {found.subset_id}")
