"""``train grid``: the thesis' experiment table as one resumable command."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, get_args

import click

from manifests.errors import ManifestError, UsageError
from trainer.cli.config_file import load_rows_file
from trainer.cli.option_table import parameter_name
from trainer.cli.options import given_model_options, make_config, run_options
from trainer.cli.perturb import PERTURB
from trainer.compare_report import compare_scores, write_report
from trainer.compare_text import text_table
from trainer.config import METHODS, Method, TrainConfig
from trainer.experiment import RANDOM
from trainer.grid import run_grid
from trainer.grid_cells import Axes, Cell, Given, cells, row_cells
from trainer.grid_suite import Suite
from trainer.models.registry import BACKBONES, check_used
from trainer.perturb.names import parse_perturbations


def _step(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


_AXES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "methods": ("methods", str),
    "backbones": (f"{', '.join(BACKBONES)}", {name: name for name in BACKBONES}.__getitem__),
    "noises": ("1, 2 and 4", {"1": 1, "2": 2, "4": 4}.__getitem__),
    "freeze_axis": ("yes and no", {"yes": True, "no": False}.__getitem__),
    "e2h_axis": ("steps in dB of at least 0", _step),
    "alpha_axis": ("dann and constant", {"dann": "dann", "constant": "constant"}.__getitem__),
    "lambda_axis": (
        "weights of at least 0, or auto",
        lambda text: None if text == "auto" else _step(text),
    ),
    "seeds": ("whole numbers of at least 0", lambda text: int(_step(str(int(text))))),
}
"""What is legal in each list, and how an entry is read."""

_BACKBONE: Final = parameter_name("model", "backbone")


def read_list(text: str | None, option: str, legal: str, kind: Callable[[str], Any]) -> Any:
    """Return the entries of a list such as ``yes,no``, each once; none where it is not given.

    Raises:
        UsageError: an entry is not legal.
    """
    try:
        entries = [kind(part.strip()) for part in (text or "").split(",") if part.strip()]
    except (ValueError, KeyError) as error:
        raise UsageError(f"{option}: expected a list of {legal}, got {text!r}") from error
    return tuple(dict.fromkeys(entries))


@click.command()
@click.option(
    "--methods",
    default="baseline,dat,supervised",
    show_default=True,
    help=f"Rows: some of {', '.join(METHODS)}.",
)
@click.option(
    "--backbones",
    metavar="LIST",
    help=f"Networks of the encoder: some of {', '.join(BACKBONES)}.  [default: as --backbone]",
)
@click.option(
    "--noises",
    default="1",
    show_default=True,
    help="Numbers of noises: some of 1,2,4, as the suite holds.",
)
@click.option(
    "--freeze-axis",
    metavar="LIST",
    help="Domain classifier of dat frozen: yes, no or yes,no.  [default: as --freeze]",
)
@click.option(
    "--e2h-axis",
    metavar="LIST",
    help="Easy-to-hard steps of dat, dB an epoch; 0 is off.  [default: as --e2h]",
)
@click.option(
    "--alpha-axis",
    metavar="LIST",
    help="Weight ramps of dat: dann, constant or both.  [default: as --alpha]",
)
@click.option(
    "--lambda-axis",
    metavar="LIST",
    help="Weights of dat; auto is the loss form's own.  [default: as --lambda]",
)
@click.option("--seeds", default="0", show_default=True, help="Seeds.")
@click.option(
    "--rows",
    metavar="FILE",
    help="TOML file with the rows: a table per row with method = … and option values by their "
    "names (encoder = 'random' for a random one). Replaces --methods and the axes of dat.",
)
@click.option(
    "--evaluate",
    "also",
    multiple=True,
    metavar="SET",
    help="A set that every cell is also evaluated on. Repeatable.",
)
@PERTURB
@click.option(
    "--cell-jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Cells trained at a time.",
)
@click.option("--list", "only_list", is_flag=True, help="List the cells; train nothing.")
@run_options(*get_args(Method))
@click.pass_context
def grid(ctx: click.Context, /, **values: Any) -> None:
    """Train and evaluate every combination of methods and axes, and print one table.

    Stage 1 is trained once per number of noises, seed and encoder. Run again, the grid goes on
    where it stopped. Axes of the adversary multiply dat only. A cell that fails is named, the
    others are trained; exit status 1 where there was one.
    """
    if not values["shards"]:
        raise UsageError("--shards: expected the folder of a suite, got nothing")
    given = {
        axis: read_list(values[axis], f"--{axis.replace('_', '-')}", legal, kind)
        for axis, (legal, kind) in _AXES.items()
    }
    found = _row_cells(ctx, values, given) if values["rows"] else _axis_cells(values, given)
    check_used(given_model_options(values), {cell.config.model.backbone for cell in found})
    if values["only_list"]:
        click.echo("\n".join(cell.name for cell in found))
        return
    system, out = make_config("dat", values)[1], values["out"]
    suite = Suite(
        values["shards"],
        values["sets"],
        values["overwrite"],
        values["also"],
        parse_perturbations(values["perturb"]),
    )
    done = run_grid(found, suite, out, system, jobs=values["cell_jobs"])
    if done.runs:
        compared = compare_scores(done.runs, str(out / "table"), only=done.sets)
        click.echo(text_table(compared.comparison))
        written = write_report(compared, str(out / "table"))
        click.echo(f"{len(written)} files in {out / 'table'}")
    if done.failed:
        raise ManifestError(
            f"grid: {len(done.failed)} of {len(found)} cells failed, as said above, and are in no "
            f"table: {', '.join(done.failed)}; mend what each says and run the same command again, "
            "with --overwrite where options were changed: only what changed is trained anew"
        )


def _axis_cells(values: dict[str, Any], given: dict[str, Any]) -> list[Cell]:
    axes = Axes(
        methods=given["methods"],
        backbones=given["backbones"],
        noises=given["noises"],
        freeze=given["freeze_axis"],
        e2h=given["e2h_axis"],
        alpha=given["alpha_axis"],
        weights=given["lambda_axis"],
        seeds=given["seeds"],
    )
    base = {method: make_config(method, values)[0] for method in get_args(Method)}
    return cells(axes, base, _given(values))


def _given(values: dict[str, Any]) -> Given:
    """Return what noisy students are given instead of what the grid has."""
    return Given(str(values["teacher"] or ""), values["unlabelled_shards"] or "")


def _row_cells(ctx: click.Context, values: dict[str, Any], given: dict[str, Any]) -> list[Cell]:
    """Return the cells of a file's rows; its values win over those of the command line."""
    rows, students = dict[str, TrainConfig](), dict[str, Given]()
    for name, own in load_rows_file(values["rows"], ctx).items():
        if given["backbones"] and _BACKBONE in own:
            raise UsageError(
                f"[{name}]: expected no backbone with --backbones, got {own[_BACKBONE]}; leave one "
                "out"
            )
        for backbone in given["backbones"] or (None,):
            row = {**values, **own, **({_BACKBONE: backbone} if backbone else {})}
            full = f"{name}-{backbone}" if backbone else name
            rows[full] = _row_config(name, row)
            if row["method"] == "noisy-student":
                students[full] = _given(row)
        backbones = given["backbones"] or [rows[name].model.backbone]
        check_used(given_model_options(own), backbones, f"[{name}]: ")
    return row_cells(rows, given["noises"], given["seeds"], students)


def _row_config(name: str, values: dict[str, Any]) -> TrainConfig:
    method, encoder = values["method"], values.get("encoder", "pretrained")
    if encoder not in ("pretrained", RANDOM) or (encoder == RANDOM and method == "dat"):
        raise UsageError(
            f"[{name}]: expected encoder = 'pretrained', or 'random' for another method than dat, "
            f"got {encoder!r} with {method}"
        )
    return replace(make_config(method, values)[0], encoder_init=encoder)
