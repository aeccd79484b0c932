"""``train evaluate``: scores, consistency and probe of a run on sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import UsageError
from manifests.shardset import INDEX, SetIndex, ShardSet, load_set
from trainer.bootstrap import Figure
from trainer.cli.aggregate import AGGREGATE
from trainer.cli.perturb import PERTURB
from trainer.compute import open_compute
from trainer.config import Aggregation, SystemConfig
from trainer.evaluation.checkpoint import (
    evaluate_checkpoint,
    evaluate_random,
    scores_folder,
    set_request,
)
from trainer.evaluation.consistency import Consistency
from trainer.evaluation.figures import Evaluation, PerturbedFigures, SetFigures
from trainer.perturb.names import parse_perturbations
from trainer.roles import open_roles

TEST_ROLES = ("test-audioset", "test-musan")


@click.command()
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run or checkpoint folder.",
)
@click.option(
    "--shards",
    multiple=True,
    required=True,
    metavar="SET",
    help="Set, or suite whose test sets are taken. Repeatable.",
)
@click.option(
    "--subset", metavar="FILE", help="Score these keys only: a common subset of a frozen set."
)
@AGGREGATE
@PERTURB
@click.option(
    "--random-encoder", is_flag=True, help="Score an untrained model of the same shape instead."
)
@click.option(
    "--out",
    metavar="DIR",
    help="Where scores go; those of the random encoder to DIR/evaluation.  [default: RUN/evaluation]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--workers", type=click.IntRange(0), default=0, show_default=True, help="Decoding processes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    checkpoint: Path,
    shards: tuple[str, ...],
    subset: str | None,
    aggregate: Aggregation,
    perturb: tuple[str, ...],
    random_encoder: bool,
    out: str | None,
    device: str,
    workers: int,
    as_json: bool,
) -> None:
    """Score a tagger on clean audio and at every SNR of one or more sets.

    Perturbations change whole clips, before they are cut into chunks.
    """
    perturbations = parse_perturbations(perturb)
    sets = _sets(shards)
    for index in (one.index for one in sets):
        if _was_trained_on(index):
            click.echo(
                f"{index.name}: a training set (split {index.split}): its scores say what a tagger "
                "remembers, not how it does on other music",
                err=True,
            )
    requests = [set_request(one) for one in sets]
    with open_compute(SystemConfig(device=device)) as compute:
        if random_encoder:
            if out is None:
                raise UsageError("--random-encoder: expected --out DIR for the untrained model")
            if aggregate != "mean":
                raise UsageError("--random-encoder: expected --aggregate mean; it has no attention")
            found = evaluate_random(
                checkpoint,
                requests,
                device=compute.device,
                out=out,
                subset_url=subset,
                n_workers=workers,
                perturbations=perturbations,
            )
        else:
            found = evaluate_checkpoint(
                checkpoint,
                requests,
                device=compute.device,
                aggregate=aggregate,
                subset_url=subset,
                n_workers=workers,
                out=out,
                perturbations=perturbations,
            )
    if as_json:
        click.echo(pretty_json(asdict(found)), nl=False)
    else:
        click.echo("\n".join(_lines(found)))
        click.echo(f"written to {scores_folder(checkpoint, out, random=random_encoder)}")


def _sets(shards: tuple[str, ...]) -> list[ShardSet]:
    sets = []
    for url in shards:
        if store.exists(store.join(url, INDEX)):
            sets.append(load_set(url))
            continue
        roles = open_roles(url)
        found = [role for role in TEST_ROLES if role in roles]
        if not found:
            raise UsageError(
                f"--shards {url}: expected a set, or a suite with {' or '.join(TEST_ROLES)}"
            )
        sets += [roles.open(role) for role in found]
    return sets


def _was_trained_on(index: SetIndex) -> bool:
    """Tell whether a set holds training music; recordings without noise are all of one split."""
    of_all = index.split == "all" and bool(index.snrs_db)
    return index.split == "train" or of_all or any(shard.domain for shard in index.shards)


def _lines(found: Evaluation) -> list[str]:
    lines = []
    for one in found.sets:
        figures = one.figures
        lines.append(
            f"{found.run.shown} on {one.label.name}: {figures.n_clips} clips, {figures.n_tags} tags "
            f"({figures.n_left_out} without both classes left out)"
        )
        width = max(16, *(len(member.member) for member in figures.members))
        for member in figures.members:
            text = "no tags to score"
            if member.auc is not None and member.ap is not None:
                text = f"AUC {_figure(member.auc)}  AP {_figure(member.ap)}"
            lines.append(f"  {member.member:{width}} {text}")
        for noise in figures.noise:
            probe = "-" if noise.probe_auc is None else f"{noise.probe_auc:.3f}"
            if noise.consistency is not None:
                lines.append(
                    f"  {noise.member:{width}} {_agreement(noise.consistency)}, domain probe AUC {probe}"
                )
        lines += [f"  {one.member:{width}} {_perturbed(figures, one)}" for one in figures.perturbed]
    return lines


def _perturbed(figures: SetFigures, one: PerturbedFigures) -> str:
    """Return one line on a perturbation: what it changes, and the SNR that it came to."""
    (change,) = (change for change in figures.changes if change.member == one.member)
    parts = []
    if change.auc is not None and change.ap is not None:
        parts.append(f"AUC {_figure(change.auc, '+')}, AP {_figure(change.ap, '+')} to unchanged")
    if one.consistency is not None:
        parts.append(_agreement(one.consistency))
    if one.snr is not None:
        parts.append(
            f"SNR {one.snr.mean_db:.1f} dB ({one.snr.lowest_db:.1f} to {one.snr.highest_db:.1f})"
        )
    return ", ".join(parts) or "no tags to score"


def _figure(figure: Figure, sign: str = "") -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:{sign}.3f}"
    return f"{figure.value:{sign}.3f} [{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"


def _agreement(found: Consistency) -> str:
    return (
        f"cosine margin {found.cosine_margin:.3f}, twin found {found.retrieval_at_1:.3f}, "
        f"tag change {found.tag_change:.3f}"
    )
