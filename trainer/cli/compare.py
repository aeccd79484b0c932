"""``train compare``: the table and the plots of runs or score files."""

from __future__ import annotations

from dataclasses import asdict

import click

from manifests.canonical import pretty_json
from trainer.compare_report import compare_scores, write_report
from trainer.compare_text import text_table
from trainer.plot_embeddings import Projection


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN|SCORES...")
@click.option(
    "--out",
    default="comparison",
    show_default=True,
    metavar="DIR",
    help="Folder for tables and plots.",
)
@click.option(
    "--projection",
    type=click.Choice(["pca", "tsne"]),
    default="pca",
    show_default=True,
    help="How embedding maps are drawn.",
)
@click.option("--no-paired", is_flag=True, help="Leave out the paired differences.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(
    runs: tuple[str, ...], out: str, projection: Projection, no_paired: bool, as_json: bool
) -> None:
    """Print one table of evaluated runs, with intervals, and write it with its plots.

    Rows are runs (those that differ by the seed alone become one), columns clean and each SNR.
    Scores on another set or subset are columns of their own; runs that share no set or subset, or
    sets of one name and another recipe, are refused. A set that not all seeds of a row were
    evaluated on is left out of it, with a note; a run trained twice is two rows.
    """
    found = compare_scores(runs, out, paired=not no_paired)
    if as_json:
        click.echo(pretty_json(asdict(found.comparison)), nl=False)
    else:
        click.echo(text_table(found.comparison))
    written = write_report(found, out, projection=projection)
    if not as_json:
        click.echo(f"{len(written)} files in {out}")
