"""``train grid``: the thesis' experiment table as one resumable command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from manifests.errors import UsageError
from trainer.cli.options import make_config, run_options
from trainer.compare_report import write_report
from trainer.compare_text import text_table
from trainer.config import METHODS
from trainer.grid import Axes, cells, run_grid


def _list(text: str, option: str, legal: str, kind: Any) -> tuple[Any, ...]:
    try:
        return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
    except (ValueError, KeyError) as error:
        raise UsageError(f"{option}: expected a list of {legal}, got {text!r}") from error


@click.command()
@click.option(
    "--methods",
    default="baseline,dat,supervised",
    show_default=True,
    help=f"Rows: some of {', '.join(METHODS)}.",
)
@click.option(
    "--noises",
    default="1",
    show_default=True,
    help="Numbers of noises: some of 1,2,4, as the suite holds.",
)
@click.option(
    "--freeze-axis",
    default="yes",
    show_default=True,
    help="Domain classifier of dat frozen: yes, no or yes,no.",
)
@click.option(
    "--e2h-axis",
    default="0",
    show_default=True,
    help="Easy-to-hard steps of dat, dB an epoch; 0 is off.",
)
@click.option(
    "--alpha-axis",
    default="dann",
    show_default=True,
    help="Weight ramps of dat: dann, constant or both.",
)
@click.option(
    "--lambda-axis",
    default="auto",
    show_default=True,
    help="Weights of dat; auto is the loss form's own.",
)
@click.option("--seeds", default="0", show_default=True, help="Seeds.")
@click.option(
    "--cell-jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Cells trained at a time.",
)
@click.option("--list", "only_list", is_flag=True, help="List the cells; train nothing.")
@run_options
def grid(**values: Any) -> None:
    """Train and evaluate every combination of methods and axes, and print one table.

    Stage 1 is trained once per number of noises and seed. Run again, the grid goes on where it
    stopped. Axes of the adversary multiply dat only.
    """
    if not values["shards"]:
        raise UsageError("--shards: expected the folder of a suite, got nothing")
    axes = Axes(
        methods=_list(values["methods"], "--methods", "methods", str),
        noises=_list(values["noises"], "--noises", "1, 2 and 4", int),
        freeze=_list(
            values["freeze_axis"],
            "--freeze-axis",
            "yes and no",
            {"yes": True, "no": False}.__getitem__,
        ),
        e2h=_list(values["e2h_axis"], "--e2h-axis", "numbers", float),
        alpha=_list(
            values["alpha_axis"],
            "--alpha-axis",
            "dann and constant",
            {"dann": "dann", "constant": "constant"}.__getitem__,
        ),
        weights=_list(
            values["lambda_axis"],
            "--lambda-axis",
            "numbers or auto",
            lambda t: math.nan if t == "auto" else float(t),
        ),
        seeds=_list(values["seeds"], "--seeds", "numbers", int),
    )
    base = {method: make_config(method, values)[0] for method in METHODS}  # type: ignore[arg-type]
    found = list(cells(axes, base))
    if values["only_list"]:
        click.echo("\n".join(cell.name for cell in found))
        return
    system = make_config("dat", values)[1]
    out: Path = values["out"]
    run_grid(found, values["shards"], out, system, jobs=values["cell_jobs"])
    comparison, written = write_report([str(out / cell.name) for cell in found], str(out / "table"))
    click.echo(text_table(comparison))
    click.echo(f"{len(written)} files in {out / 'table'}")
