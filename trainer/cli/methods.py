"""The training commands, one per row of the table in DESIGN section 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from manifests.errors import UsageError
from trainer.cli.options import given_model_options, make_config, run_options
from trainer.compute import open_compute
from trainer.config import Method
from trainer.experiment import train_run
from trainer.models.registry import check_used
from trainer.roles import open_roles, with_unlabelled


def _train(method: Method, values: dict[str, Any]) -> None:
    config, system = make_config(method, values)
    check_used(given_model_options(values), [config.model.backbone])
    out: Path = values["out"]
    if values["resume"] and not (out / "config.json").is_file():
        raise UsageError(f"--resume: expected a run in {out}, found none")
    roles = open_roles(values["shards"], values["sets"])
    if unlabelled := values.get("unlabelled_shards"):
        roles = with_unlabelled(roles, unlabelled)
    with open_compute(system) as compute:
        train_run(
            config,
            roles,
            out,
            compute,
            encoder_from=values["encoder_from"],
            init=values.get("init"),
            only_stage=values.get("stage"),
            teacher=values.get("teacher"),
            overwrite=values["overwrite"],
        )
        if compute.world.is_main:
            click.echo(f"{method}: {out}")


@click.command()
@run_options("dat")
@click.option("--stage", type=click.IntRange(1, 3), help="Train this stage only.")
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run whose earlier stages are taken, with --stage.",
)
def dat(**values: Any) -> None:
    """Train all three stages: encoder, domain classifier, adversarial tagger."""
    _train("dat", values)


@click.command()
@run_options("baseline")
def baseline(**values: Any) -> None:
    """Train on the clean source half alone."""
    _train("baseline", values)


@click.command()
@run_options("supervised")
def supervised(**values: Any) -> None:
    """Train on the clean source half and the noisy target half, both with tags."""
    _train("supervised", values)


@click.command("full-clean")
@run_options("full-clean")
def full_clean(**values: Any) -> None:
    """Train on both halves clean, with tags: what more labels alone give."""
    _train("full-clean", values)


@click.command("labelled-noise")
@run_options("labelled-noise")
def labelled_noise(**values: Any) -> None:
    """Train on the source half, clean or noisy by a coin, with tags."""
    _train("labelled-noise", values)


@click.command()
@run_options("adabn")
def adabn(**values: Any) -> None:
    """Train the baseline, then take its BatchNorm statistics anew on noisy audio."""
    _train("adabn", values)


@click.command()
@run_options("consistency")
def consistency(**values: Any) -> None:
    """Train on clean source audio and pull clean and noisy versions together."""
    _train("consistency", values)


@click.command()
@run_options("robust")
def robust(**values: Any) -> None:
    """Train the recipe that we recommend (docs/decisions/0006-robust.md)."""
    _train("robust", values)


@click.command("noisy-student")
@run_options("noisy-student")
def noisy_student(**values: Any) -> None:
    """Train a student on tags and on a teacher's answers to unlabelled audio.

    The teacher hears that audio clean, the student noisy and strongly augmented. The options of
    the model are the student's.
    """
    _train("noisy-student", values)
