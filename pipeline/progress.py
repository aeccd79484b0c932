"""Progress of long work: a bar with rate and remaining time on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.frozen.untrusted import printable

LINE_EVERY_S: Final = 10.0
SHORTEST_S: Final = 0.1
"""Work that ends sooner was done before, e.g. a scan of known files: its rate means nothing."""
Advance = Callable[[float], None]


class Reporter(Protocol):
    """Shows the progress of one piece of work after another."""

    def track(self, description: str, total: float, unit: str) -> AbstractContextManager[Advance]:
        """Start a piece of work of ``total`` units; yields a function that adds finished units."""
        ...


class SilentReporter:
    """Shows nothing: for notebooks, tests and ``--json``."""

    @contextlib.contextmanager
    def track(self, description: str, total: float, unit: str) -> Iterator[Advance]:
        """Yield a function that does nothing."""
        yield lambda _amount: None


class PlainReporter:
    """A line to standard error at most every ten seconds, for logs."""

    @contextlib.contextmanager
    def track(self, description: str, total: float, unit: str) -> Iterator[Advance]:
        """Yield a function that adds finished units."""
        done, begin, shown = 0.0, time.monotonic(), time.monotonic()

        def advance(amount: float) -> None:
            nonlocal done, shown
            done += amount
            now = time.monotonic()
            if now - shown >= LINE_EVERY_S or done >= total:
                shown = now
                line = f"{printable(description)}: {done:,.0f}/{total:,.0f} {unit}"
                if now - begin >= SHORTEST_S and done:
                    rate = done / (now - begin)
                    line += f", {rate:,.1f} {unit}/s, {_clock((total - done) / rate)} left"
                sys.stderr.write(line + "\n")
                sys.stderr.flush()

        yield advance


class BarReporter:
    """A bar with rate and remaining time, on a terminal.

    It writes to a copy of file descriptor 2, since decoding redirects that one for moments.
    """

    @contextlib.contextmanager
    def track(self, description: str, total: float, unit: str) -> Iterator[Advance]:
        """Yield a function that adds finished units."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),  # names are anybody's
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(unit),
            TimeElapsedColumn(),
            TextColumn("·"),
            TimeRemainingColumn(),
        )
        with (
            os.fdopen(os.dup(2), "w") as file,
            Progress(*columns, console=Console(file=file, force_terminal=True)) as progress,
        ):
            task = progress.add_task(printable(description), total=total)
            yield lambda amount: progress.advance(task, amount)


class _RateColumn(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {self._unit}/s" if speed else f"- {self._unit}/s")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def reporter(*, quiet: bool = False) -> Reporter:
    """Return the reporter that fits: a bar on a terminal, lines elsewhere, nothing if quiet."""
    if quiet:
        return SilentReporter()
    return BarReporter() if sys.stderr.isatty() else PlainReporter()
