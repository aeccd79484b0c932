"""``--aggregate`` of the commands that use a tagger."""

from __future__ import annotations

from typing import get_args

import click

from trainer.config import Aggregation

AGGREGATE = click.option(
    "--aggregate",
    type=click.Choice(get_args(Aggregation)),
    default="mean",
    show_default=True,
    help="How scores of chunks become a file's: their mean, or weighted by the attention that the run was trained with (train METHOD --aggregate attention).",
)
