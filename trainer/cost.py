"""What a run costs: parameters, throughput, time and memory, beside its scores.

Throughput, time and memory are what the run's own log measured on the machine that trained it, so
they compare rows of one table only where one machine trained them all.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import ManifestError
from trainer.attention import POOLING
from trainer.runs.folder import METRICS
from trainer.runs.metrics_log import read_records
from trainer.tagger import load_tagger
from trainer.weights import holds_checkpoint

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RowCost:
    """What a row of the table costs; means over its seeds.

    Attributes:
        row: name of the row.
        n_parameters: parameters of encoder and label predictor, and of the attention in a row that
            pools with it.
        examples_per_s: crops through the network that learns in a second of the last stage, median
            over the log's records; None where the log holds none.
        train_s: time of the last stage's steps, s, validation left out.
        memory_mb: most memory at a record: of the process, or on the GPU, MB.
    """

    row: str
    n_parameters: int
    examples_per_s: float | None
    train_s: float | None
    memory_mb: float | None


def row_costs(
    rows: Mapping[str, Sequence[Path]], attending: Collection[str] = ()
) -> tuple[RowCost, ...]:
    """Return the cost of every row all of whose runs are at hand and whole; others are left out.

    Args:
        rows: folders of the runs behind each row.
        attending: rows whose runs pool with attention.
    """
    found = []
    for row, folders in rows.items():
        attends = row in attending
        if folders and all(_at_hand(folder, attends=attends) for folder in folders):
            try:
                costs = [run_cost(folder, attends=attends) for folder in folders]
            except ManifestError as error:  # without its remedy, which begins a stage anew
                _LOG.warning("%s: cost left out: %s", row, str(error).partition("; ")[0])
            else:
                found.append(_mean(row, costs))
    return tuple(found)


def _at_hand(run: Path, *, attends: bool) -> bool:
    return holds_checkpoint(run / POOLING if attends else run)


def run_cost(run: Path, *, attends: bool = False) -> RowCost:
    """Return the cost of one run, with its attention or without.

    Raises:
        UsageError: the folder holds no checkpoint, or none with attention.
        ManifestError: its checkpoint or log is damaged, or it holds no tagger.
    """
    tagger = load_tagger(run, "attention" if attends else "mean")
    networks = [tagger.encoder, tagger.predictor, *([tagger.pooling] if tagger.pooling else [])]
    log = run / METRICS
    records = read_records(log) if log.is_file() else []
    speeds = _values(records, "train/examples_per_s")
    seconds = _values(records, "train/seconds")
    memory = _values(records, "train/memory_mb")
    return RowCost(
        row=run.name,
        n_parameters=sum(p.numel() for network in networks for p in network.parameters()),
        examples_per_s=statistics.median(speeds) if speeds else None,
        train_s=sum(seconds) if seconds else None,
        memory_mb=max(memory) if memory else None,
    )


def _values(records: Sequence[Mapping[str, object]], name: str) -> list[float]:
    return [value for record in records if isinstance(value := record.get(name), float)]


def _mean(row: str, costs: Sequence[RowCost]) -> RowCost:
    def mean(name: str) -> float | None:
        values = [value for cost in costs if (value := getattr(cost, name)) is not None]
        return statistics.fmean(values) if values else None

    return RowCost(
        row,
        costs[0].n_parameters,  # seeds share the configuration
        mean("examples_per_s"),
        mean("train_s"),
        mean("memory_mb"),
    )
