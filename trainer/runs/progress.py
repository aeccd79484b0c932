"""Loss, throughput and remaining time of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S: Final = 10.0
_DISPLAYS: Final[list[Progress]] = []
"""The display that the terminal has now, if any."""


class Advance(Protocol):
    """Shows that steps are done."""

    def __call__(self, step: int, *, n_examples: int, loss: float | None = None) -> None:
        """Show the state.

        Args:
            step: steps done, those before a resume included.
            n_examples: examples since the last call.
            loss: the newest loss; None for work that has none.
        """
        ...


@contextlib.contextmanager
def show_progress(
    description: str,
    total_steps: int,
    *,
    first_step: int = 0,
    quiet: bool = False,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Show the progress of a stage, or of other long work, on standard error.

    Args:
        description: e.g. ``stage 3 dat``.
        total_steps: steps of the whole stage.
        first_step: steps done before, by a run that is resumed.
        quiet: show nothing, e.g. on ranks other than the first.
        stream: where to; standard error where None.
        clock: seconds, monotonic.

    Yields:
        A function to call after a step.
    """
    out = stream or sys.stderr
    if quiet:
        yield _silent
    elif out.isatty():
        with _bar(description, total_steps, first_step, out, clock) as advance:
            yield advance
    else:
        yield _lines(description, total_steps, first_step, out, clock)


def _silent(step: int, *, n_examples: int, loss: float | None = None) -> None:
    del step, loss, n_examples


def _lines(
    description: str, total: int, first_step: int, out: TextIO, clock: Callable[[], float]
) -> Advance:
    begin = shown = clock()
    examples, shown_step = 0, first_step

    def advance(step: int, *, n_examples: int, loss: float | None = None) -> None:
        nonlocal shown, examples, shown_step
        examples += n_examples
        now = clock()
        if now - shown < LINE_EVERY_S and step < total:
            return
        rate = examples / max(now - shown, 1e-9)
        left_s = (total - step) * (now - begin) / max(step - first_step, 1)
        shown, examples, shown_step = now, 0, step
        text = "" if loss is None else f"loss {loss:.4f}, "
        out.write(
            f"{description}: step {step:,}/{total:,}, {text}{rate:,.1f} examples/s, "
            f"{clock_text(left_s)} left\n"
        )
        out.flush()

    return advance


@contextlib.contextmanager
def _bar(
    description: str, total: int, first_step: int, out: TextIO, clock: Callable[[], float]
) -> Iterator[Advance]:
    begin, examples = clock(), 0
    with _display(out, clock) as progress:
        task = progress.add_task(description, total=total, completed=first_step, loss="", rate=0.0)

        def advance(step: int, *, n_examples: int, loss: float | None = None) -> None:
            nonlocal examples
            examples += n_examples
            rate = examples / max(clock() - begin, 1e-9)
            text = "" if loss is None else f"loss {loss:.4f}"
            progress.update(task, completed=step, loss=text, rate=rate)

        yield advance


@contextlib.contextmanager
def _display(out: TextIO, clock: Callable[[], float]) -> Iterator[Progress]:
    """Yield the display of a terminal: what is shown within a stage is a line below the stage's.

    Two displays would write over each other.
    """
    if _DISPLAYS:
        yield _DISPLAYS[0]
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[rate]:,.0f} examples/s"),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        console=Console(file=out),
        get_time=clock,
    )
    _DISPLAYS.append(progress)
    try:
        with progress:
            yield progress
    finally:
        _DISPLAYS.clear()


def clock_text(seconds: float) -> str:
    """Return ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
