"""``--perturb`` of the commands that score a tagger."""

from __future__ import annotations

import click

from trainer.perturb.names import ALL, LEGAL, STANDARD

PERTURB = click.option(
    "--perturb",
    multiple=True,
    metavar="NAME[,NAME]",
    help=f"Score perturbed versions of the clean member (or of real recordings) too: {LEGAL}; {ALL} is {', '.join(STANDARD)} (Won et al. 2020). Repeatable.",
)
