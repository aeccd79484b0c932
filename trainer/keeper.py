"""What every stage keeps: its log, its progress line, its last and its best checkpoint.

The loops stay in the stages; this only writes down what they tell it. Saving goes by the clock and
changes no result: a resumed stage repeats the steps since the last checkpoint, bit for bit. What
does touch the networks, the mean of BatchNorm statistics over ranks, goes by the step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import torch

from manifests.errors import ManifestError, UsageError
from trainer.runs.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from trainer.runs.distributed import World, average_buffers
from trainer.runs.divergence import check_loss, check_score, check_weights
from trainer.runs.folder import RunFolder
from trainer.runs.lock import locked
from trainer.runs.metrics_log import MetricsLog
from trainer.runs.progress import Advance, show_progress
from trainer.runs.restore import restore
from trainer.runs.stage_options import stage_option
from trainer.runs.tally import Tally
from trainer.weights import has_checkpoint

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
SAVE_EVERY_S: Final = 60.0
LOG_EVERY: Final = 10
"""Steps between records; checkpoints by the clock are written at these steps only, so that the
means of a record never miss a step."""

VALIDATION_SHARE: Final = 0.2

SAID: Final = frozenset({"loaders", "begins_with", "n_steps", "step", "best", "done", "precision"})
"""What a checkpoint says of its stage, for the stage to go on."""


@dataclass
class Keeper:
    """Keeps one stage.

    Attributes:
        run: the stage's folder.
        stage: name of the stage in the log.
        state: what changes while it trains.
        n_steps: steps of the whole stage.
        world: the processes that train together.
        card: JSON values that go into every checkpoint, e.g. model config and tags.
        loaders: fingerprints of the loaders, checked on resume.
        validations: validations over the stage.
        begins_with: hash of the weights that the stage begins with, checked on resume; empty where
            they are random.
        first_step: steps done before this process began.
        best: score of the best checkpoint so far.
        done: whether the stage was finished before.
        precision: what the stage trains in; chosen at its first step, kept on resume.
    """

    run: RunFolder
    stage: str
    state: TrainingState
    n_steps: int
    world: World
    card: Mapping[str, Any]
    loaders: Mapping[str, str]
    validations: int
    begins_with: str = ""
    first_step: int = 0
    best: float | None = None
    done: bool = False
    precision: str = ""
    _tally: Tally = field(default_factory=Tally)
    _saved: float = 0.0
    _validation_s: float = 0.0
    _said: bool = False
    _log: MetricsLog | None = None
    _show: Advance | None = None

    @contextmanager
    def open(self) -> Iterator[Keeper]:
        """Resume from the last checkpoint where there is one, and open the log.

        Raises:
            UsageError: another process trains there, or the run began with other data or weights.
            ManifestError: the checkpoint is damaged.
        """
        with ExitStack() as stack:
            if self.world.is_main:
                stack.enter_context(locked(self.run.path))
            self._resume()
            if self.world.is_main:
                # without a checkpoint a record of step 0 is none to keep either
                kept = self.first_step if has_checkpoint(self.run.last) else -1
                log = MetricsLog(self.run, self.stage, step=kept)
                self._log = stack.enter_context(log)
            self._show = stack.enter_context(
                show_progress(
                    self.stage,
                    self.n_steps,
                    first_step=self.first_step,
                    quiet=not self.world.is_main or self.done,
                )
            )
            self._saved = self._begin = time.monotonic()
            self._tally.begin()
            yield self
            self._finish()

    def _resume(self) -> None:
        if not has_checkpoint(self.run.last):
            return
        checkpoint = load_checkpoint(self.run.last)
        progress = checkpoint.progress
        if missing := sorted(SAID - progress.keys()):
            raise ManifestError(
                f"{self.run.last}: expected the state of a stage, got none of {', '.join(missing)}"
            )
        for what, then, now in (
            ("sets", progress["loaders"], dict(self.loaders)),
            ("initial weights (or teacher)", progress["begins_with"], self.begins_with),
            ("number of steps", progress["n_steps"], self.n_steps),
        ):
            if then != now:
                raise UsageError(
                    f"{self.run.path}: expected the {what} that the run began with, got others "
                    "(or another number of ranks); name another --out"
                )
        restore(checkpoint, self.state)
        self.first_step, self.best = int(progress["step"]), progress["best"]
        self.done, self.precision = bool(progress["done"]), str(progress["precision"])
        logger.info("%s: resumed at step %d of %d", self.stage, self.first_step, self.n_steps)

    def validates(self, step: int) -> bool:
        """Tell whether a validation is due after ``step`` steps; they are evenly spaced."""
        wanted = max(self.validations, 1)
        return step * wanted // self.n_steps > (step - 1) * wanted // self.n_steps

    def awaited(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Pass batches on, and take the time that the loop waits for them: see ``Tally``."""
        return self._tally.awaited(batches)

    def heard(self, figures: Mapping[str, torch.Tensor | float], n: int) -> None:
        """Note a batch of this rank; a record holds the means over all since the one before.

        Args:
            figures: losses by name; tensors are read only when they are written.
            n: crops that the network that learns heard of it.
        """
        self._tally.add(figures, n)

    def stepped(self, step: int, figures: Mapping[str, torch.Tensor | float]) -> None:
        """Note a finished step of the optimizer.

        Where a validation is due next, ``validated`` saves: a checkpoint from before it would let a
        run that is killed during the validation go on without it, or count as done.

        Args:
            step: steps done.
            figures: schedules and rates by name.

        Raises:
            ManifestError: the loss of a record is not finite; no checkpoint is written then.
        """
        self.heard(figures, 0)
        if step % LOG_EVERY == 0 or step == self.n_steps:
            self._write(step)
            if not self.validates(step):
                self._save_by_clock(step)

    def _save_by_clock(self, step: int) -> None:
        """Save where the last checkpoint is old; the first rank's clock decides for all."""
        average_buffers(self._learning(), self.world)
        due = time.monotonic() - self._saved > SAVE_EVERY_S
        if self.world.gather_counts(int(due))[0]:
            self.save(step)

    def _write(self, step: int) -> None:
        if not self._tally:
            return
        figures = self._tally.figures(self.world)
        if self._log is not None:
            self._log.write(step, figures)
        if self._show is not None:
            n_examples = self._tally.n_examples(self.world)
            self._show(step, loss=figures.get("train/loss"), n_examples=n_examples)
        self._tally.begin(self._tally.until)
        check_loss(self.run.path, self.stage, step, figures)

    @contextmanager
    def validation(self, step: int) -> Iterator[None]:
        """Take the time of a validation after ``step`` steps; it is no training time.

        The record of the steps before it is written first, and BatchNorm statistics agree over the
        ranks.

        Raises:
            ManifestError: the loss of these steps, or a weight, is not finite.
        """
        self._write(step)
        average_buffers(self._learning(), self.world)
        check_weights(self.run.path, self.stage, step, self._learning())
        begin = time.monotonic()
        yield
        taken_s = time.monotonic() - begin
        self._validation_s += taken_s
        self._tally.leave_out(taken_s)
        self._say_share(taken_s * self.validations * (self.n_steps - step) / self.n_steps)

    def validated(self, step: int, score: float, figures: Mapping[str, float]) -> None:
        """Note a validation; a score above the best so far makes the best checkpoint.

        The best checkpoint is there to be used, not to be resumed: it holds no optimizer.

        Raises:
            ManifestError: the score is not finite, as of a stage that diverged; nothing is saved.
        """
        if self._log is not None:
            named = {f"valid/{name}": value for name, value in figures.items()}
            self._log.write(step, {**named, "valid/score": score})
        check_score(self.run.path, self.stage, step, score)
        if self.best is None or score > self.best:
            self.best = score
            if self.world.is_main:
                networks = replace(self.state, optimizers={})
                save_checkpoint(self.run.best, networks, self._progress(step))
        self.save(step)

    def save(self, step: int) -> None:
        """Write the last checkpoint; BatchNorm statistics must agree over the ranks."""
        if self.world.is_main:
            save_checkpoint(self.run.last, self.state, self._progress(step))
        self._saved = time.monotonic()

    def _learning(self) -> list[torch.nn.Module]:
        """Return the networks that are not frozen."""
        return [
            module
            for module in self.state.modules.values()
            if any(parameter.requires_grad for parameter in module.parameters())
        ]

    def _progress(self, step: int) -> dict[str, Any]:
        return {
            **self.card,
            "stage": self.stage,
            "begins_with": self.begins_with,
            "step": step,
            "n_steps": self.n_steps,
            "best": self.best,
            "done": step >= self.n_steps,
            "precision": self.precision,
            "loaders": dict(self.loaders),
        }

    def _say_share(self, to_come_s: float = 0.0) -> None:
        """Warn once where validation takes much of the time, or will."""
        share = self._validation_s / max(time.monotonic() - self._begin, 1e-9)
        if self._said or share <= VALIDATION_SHARE or self._validation_s + to_come_s <= 60.0:
            return
        self._said = True
        logger.warning(
            "%s: validation takes %.0f %% of the time; ask for fewer %s%s, or give it --workers",
            self.stage,
            100 * share,
            stage_option(self.stage, "validations"),
            "" if self.stage in ("encoder", "domain") else " or a --valid-limit",
        )

    def _finish(self) -> None:
        self._say_share()
        self.world.barrier()
