"""What a task returns from another process: its result, or its error in parts.

Exceptions with arguments of their own do not unpickle (``AudioError`` takes two and keeps one), and
what breaks while it is unpickled is taken for a lost worker.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
_LOST: Final = {
    "TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "CommClosedError",
    "CancelledError", "FutureCancelledError",
}  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """An error of a task, in parts that pickle.

    Attributes:
        kind: its class.
        arguments: its ``args``.
        state: its attributes.
        trace: the traceback in the worker, as text.
    """

    kind: type[Exception]
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    trace: str

    def error(self) -> Exception:
        """Return the error as it was raised, with the worker's traceback as a note."""
        error = self.kind.__new__(self.kind, *self.arguments)
        error.__dict__.update(self.state)
        error.add_note(f"in a worker:\n{self.trace}")
        return error


def guarded(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result | Failure:
    """Call a function; return its result, or its error as a ``Failure``."""
    try:
        return function(*arguments)
    except Exception as error:
        state = {k: v for k, v in error.__dict__.items() if k != "__notes__"}
        return Failure(type(error), error.args, state, traceback.format_exc())


def is_lost_worker(error: Exception) -> bool:
    """Tell whether an error of loky or dask means that a worker or the scheduler is gone."""
    return bool(_LOST & {kind.__name__ for kind in type(error).__mro__})
