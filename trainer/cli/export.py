"""``train export``: a tagger as one file for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from trainer.cli.aggregate import AGGREGATE
from trainer.config import Aggregation
from trainer.export import FORMATS, export_tagger
from trainer.tagger import load_tagger


@click.command()
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run or checkpoint folder.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="onnx",
    show_default=True,
    help="File format.",
)
@AGGREGATE
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; FILE.json says tags, rate and band (pipes and devices have none).",
)
def export(checkpoint: Path, format_name: str, aggregate: Aggregation, output: Path) -> None:
    """Write a tagger as ONNX or TorchScript: chunks of audio in, tag probabilities out.

    A file's score is for the program to make of them: the mean, or the mean weighted by exp of the
    second output, attention, which --aggregate attention adds.
    """
    n_bytes = export_tagger(load_tagger(checkpoint, aggregate), output, format_name)
    said = f"{output}: {n_bytes / 1e6:.1f} MB, {format_name}"
    click.echo(said, err=not output.is_file())  # standard output may be what was written to
