"""What a run measured: one JSON line per record, and the same as TensorBoard scalars."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch.utils.tensorboard import SummaryWriter

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from trainer.runs.folder import RunFolder
from trainer.runs.writing import written_to

STAGE: Final = "stage"
STEP: Final = "step"

logger = logging.getLogger(__name__)


class MetricsLog:
    """The log of one stage of a run; use it as a context manager.

    A record is ``{"stage": …, "step": …, "train/loss": …, "valid/auc_snr_-10": …}``; ``step`` is
    the number of steps done. A resumed run goes on after its checkpoint: records of the stage
    beyond it are removed, so that no step stands twice.

    Args:
        run: the run's folder.
        stage: name of the stage; TensorBoard keeps each in a folder of its own.
        step: steps done at the checkpoint that the run goes on from, 0 for a new one.

    Raises:
        ManifestError: the run's folder cannot be written, or the log is damaged.
    """

    def __init__(self, run: RunFolder, stage: str, *, step: int = 0) -> None:
        self.stage, self.path = stage, run.metrics
        rewind(run.metrics, stage, step)
        folder = run.tensorboard / stage
        purge = step + 1 if folder.is_dir() else None
        with written_to(run.path), contextlib.ExitStack() as opened:
            self._file = opened.enter_context(run.metrics.open("a", encoding="utf-8"))
            self._writer: Any = SummaryWriter(str(folder), purge_step=purge)
            opened.pop_all()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        # Of two errors the first is told: what could not be written cannot be closed either.
        with written_to(self.path) if kind is None else contextlib.suppress(OSError):
            self.close()

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Write one record.

        Args:
            step: steps done.
            figures: by name, e.g. ``train/loss``, ``train/domain_accuracy``,
                ``train/lambda_alpha``, ``valid/auc_snr_0``, ``train/examples_per_s``. One that is
                not finite is written as null, and warned of.

        Raises:
            ManifestError: the disk is full.
        """
        broken = sorted(name for name, value in figures.items() if not math.isfinite(value))
        if broken:
            logger.warning("%s step %d: not finite: %s", self.stage, step, ", ".join(broken))
        record = {name: None if name in broken else value for name, value in figures.items()}
        line = canonical_json(record | {STAGE: self.stage, STEP: step})
        with written_to(self.path):
            self._file.write(f"{line}\n")
            self._file.flush()
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close both files."""
        try:
            self._file.close()
        finally:
            self._writer.close()


def rewind(path: Path, stage: str, step: int) -> None:
    """Remove a stage's records beyond a step, and a last line that a kill cut short.

    Raises:
        ManifestError: a line before the last is not JSON.
    """
    if path.is_file():
        kept = [r for r in read_records(path) if r.get(STAGE) != stage or r[STEP] <= step]
        store.write_text(str(path), "".join(f"{canonical_json(record)}\n" for record in kept))


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read all records of a run; a last line cut short is left out.

    Raises:
        ManifestError: a line before the last is not JSON.
    """
    lines = store.read_text(str(path)).splitlines()
    records = list[dict[str, Any]]()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise ManifestError(f"{path}: line {number}: expected JSON: {error}") from error
        records.append(record)
    return records
