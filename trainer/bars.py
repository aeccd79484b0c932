"""What the demo must show: the bars of ``make demo``, each with its figures and its state.

    python -m trainer.bars RUNS --shards DIR

``RUNS`` holds a run each of ``baseline``, ``dat`` (with its ``domain``) and ``supervised``, all
evaluated, as ``train grid`` leaves them. Exit status 0 where every bar is reached.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from manifests.errors import ManifestError
from trainer.allocator import keep_freed_memory
from trainer.bootstrap import Figure
from trainer.compute import prepared
from trainer.config import ModelConfig
from trainer.evaluation.figures import MEAN
from trainer.evaluation.paired import compare_pair
from trainer.evaluation.scored import Scored, load_scores
from trainer.models.backbone import Backbone
from trainer.models.registry import new_encoder
from trainer.probe import clip_embeddings, probe_auc
from trainer.roles import Roles, open_roles
from trainer.runs.folder import CONFIG, read_config
from trainer.runs.metrics_log import read_records
from trainer.runs.restore import load_weights
from trainer.weights import find_checkpoint

CLEAN_AUC = 0.75
DOMAIN_ACCURACY = 0.8
RANDOM_ENCODERS = 3


@dataclass(frozen=True)
class Bar:
    """One bar: what is asked, what was found, whether it is reached."""

    asked: str
    found: str
    reached: bool


def score_bars(baseline: Scored, supervised: Scored) -> list[Bar]:
    """Return the bars that the scores of one set decide: none where it holds real recordings."""
    if not baseline.file.figures.noise:
        return []
    members = {member.member: member for member in baseline.file.figures.members}
    clean = members["clean"].auc
    noisy = sorted(
        (m for m in members.values() if m.snr_db is not None), key=lambda m: -(m.snr_db or 0.0)
    )
    if clean is None or any(member.auc is None for member in noisy):
        raise ManifestError(f"{baseline.url}: expected AUCs of clean and noisy members, got none")
    figures = [member.auc for member in noisy if member.auc is not None]
    values = [clean.value, *(figure.value for figure in figures)]
    shown = " > ".join(f"{value:.3f}" for value in values)
    falls = all(a >= b for a, b in itertools.pairwise(values))
    apart = _high(figures[-1]) < _low(clean)
    pair = compare_pair(baseline, supervised)
    at_0db = next(row for row in pair.differences if row.snr_db == 0.0)
    name = baseline.file.set.name
    return [
        Bar(
            f"{name}: baseline clean AUC, lower bound above {CLEAN_AUC}",
            f"{clean.value:.3f} [{_low(clean):.3f}, {_high(clean):.3f}]",
            _low(clean) > CLEAN_AUC,
        ),
        Bar(
            f"{name}: baseline AUC falls with SNR, -10 dB below clean with disjoint intervals",
            f"{shown}; {_high(figures[-1]):.3f} < {_low(clean):.3f}",
            falls and apart,
        ),
        Bar(
            f"{name}: supervised beats baseline at 0 dB, paired interval above 0",
            f"{at_0db.auc.value:+.3f} [{_low(at_0db.auc):+.3f}, {_high(at_0db.auc):+.3f}]",
            _low(at_0db.auc) > 0.0,
        ),
    ]


def _low(figure: Figure) -> float:
    """Return the lower bound; without an interval nothing is above it."""
    return -math.inf if figure.low is None else figure.low


def _high(figure: Figure) -> float:
    return math.inf if figure.high is None else figure.high


def probe_bar(domain_from: Path, roles: Roles) -> Bar:
    """Return the bar of stage 1: a linear probe on it beats the same probe on random weights.

    What random weights are worth depends on the draw (some .01 of AUC either way), hence the mean
    over a few.

    Args:
        domain_from: run with a stage 2, which holds stage 1's encoder unchanged.
        roles: the sets to train and test the probe on.
    """
    checkpoint = find_checkpoint(domain_from, "domain")
    model = ModelConfig(**checkpoint.progress["model"])
    trained = new_encoder(model)
    load_weights(checkpoint, "encoder", trained)
    found = _probe(trained, model, roles)
    by_chance = []
    for seed in range(RANDOM_ENCODERS):
        torch.manual_seed(seed)
        by_chance.append(_probe(new_encoder(model), model, roles))
    mean = sum(by_chance) / len(by_chance)
    return Bar(
        f"a linear probe on stage 1 beats the same probe on {RANDOM_ENCODERS} random encoders",
        f"AUC {found:.3f} against {mean:.3f} ({min(by_chance):.3f} to {max(by_chance):.3f})",
        found > mean,
    )


def _probe(encoder: Backbone, model: ModelConfig, roles: Roles) -> float:
    """Return the AUC of a linear probe, on the clean members of the test set."""
    train, test = roles.open("train"), roles.open("test-audioset")
    tags = train.index.tags
    fitted, tested = (
        clip_embeddings(
            encoder, shard_set, tags, device=torch.device("cpu"), prepare=prepared(model)
        )
        for shard_set in (train, test)
    )
    return probe_auc(fitted, tested, tags)


def domain_bar(run: Path) -> Bar:
    """Return the bar of stage 2: its best validation accuracy at 0 dB and below."""
    records = [r for r in read_records(run / "domain" / "metrics.jsonl") if "valid/score" in r]
    if not records:
        raise ManifestError(f"{run}/domain: expected validations in metrics.jsonl, found none")
    best = max(records, key=lambda record: float(record["valid/score"]))
    at = {
        float(name.rsplit("_", 1)[-1]): float(value)
        for name, value in best.items()
        if name.startswith("valid/accuracy_snr_")
    }
    low = {snr_db: value for snr_db, value in at.items() if snr_db <= 0}
    shown = ", ".join(f"{snr_db:g} dB {value:.2f}" for snr_db, value in sorted(low.items()))
    return Bar(
        f"stage 2 reaches {DOMAIN_ACCURACY} domain accuracy at 0 dB and below",
        shown,
        bool(low) and min(low.values()) >= DOMAIN_ACCURACY,
    )


def find_run(runs: Path, method: str) -> Path:
    """Return the run of a method below a folder; of several seeds the first.

    Raises:
        ManifestError: there is none.
    """
    found = sorted(
        path.parent
        for path in runs.glob(f"*/{CONFIG}")
        if read_config(path.parent).get("method") == method
    )
    if not found:
        raise ManifestError(f"{runs}: expected a run of {method}, found none; train it there")
    return found[0]


def all_bars(runs: Path, shards: str) -> list[Bar]:
    """Return every bar of a folder of runs on a suite.

    Raises:
        ManifestError: a run or a set is missing or damaged.
    """
    roles = open_roles(shards)
    baseline, dat, supervised = (find_run(runs, name) for name in ("baseline", "dat", "supervised"))
    bars = [bar for pair in score_pairs(baseline, supervised) for bar in score_bars(*pair)]
    return [*bars, probe_bar(dat, roles), domain_bar(dat)]


def score_pairs(baseline: Path, supervised: Path) -> list[tuple[Scored, Scored]]:
    """Return the scores of two runs, set by set: of whole sets, by the mean.

    Raises:
        ManifestError: a run was not evaluated, or one of them lacks a set of the other.
    """
    ours, theirs = (
        {item.file.set.name: item for item in load_scores([str(run)]) if _is_asked_for(item)}
        for run in (baseline, supervised)
    )
    for run, sets in ((baseline, theirs.keys() - ours.keys()), (supervised, ours.keys() - theirs)):
        if sets:
            raise ManifestError(
                f"{run}: expected scores on {', '.join(sorted(sets))} as the other run has, found "
                f"none; run train evaluate --checkpoint {run} on it too"
            )
    return [(item, theirs[name]) for name, item in ours.items()]


def _is_asked_for(item: Scored) -> bool:
    return item.file.set.subset_id is None and item.file.run.aggregate == MEAN


@click.command()
@click.argument("runs", type=click.Path(exists=True, path_type=Path))
@click.option("--shards", required=True, metavar="DIR", help="Folder of the suite.")
@click.pass_context
def main(ctx: click.Context, /, runs: Path, shards: str) -> None:
    """Print every bar with its figures; exit status 1 where one is missed."""
    keep_freed_memory()
    try:
        bars = all_bars(runs, shards)
    except ManifestError as error:
        raise click.ClickException(str(error)) from error
    for bar in bars:
        click.echo(f"{'reached' if bar.reached else 'MISSED '}  {bar.asked}: {bar.found}")
    if not all(bar.reached for bar in bars):
        ctx.exit(1)


if __name__ == "__main__":
    main()
