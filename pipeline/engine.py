"""Run independent tasks: in this process, in loky workers (joblib), or on a dask cluster.

Tasks are a function and small arguments, results small tuples or dicts, so that neither a
scheduler nor the parent holds audio. Results come in any order; nothing may depend on it.
"""

from __future__ import annotations

import collections
import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final, TypeVar

import joblib

from manifests.errors import ManifestError, UsageError
from manifests.parent import end_with_parent
from pipeline.dask_engine import dask_outcomes
from pipeline.task_outcome import Failure, guarded, is_lost_worker

Result = TypeVar("Result")
ENGINES: Final = ("loky", "dask")


def _settle_in() -> None:
    """Make a new loky worker leave interrupts to its parent, and end with it.

    An interrupt inside a callback of soundfile is swallowed there, with a traceback, and what is
    read or written comes out short.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def run_tasks(
    function: Callable[..., Result],
    arguments: Sequence[tuple[Any, ...]],
    *,
    jobs: int = 1,
    engine: str = "loky",
    scheduler: str | None = None,
) -> Iterator[Result]:
    """Call ``function(*args)`` for each of ``arguments``; yield results as they come.

    Args:
        function: importable at module level, since workers unpickle it by name.
        arguments: one tuple per task, small.
        jobs: worker processes on this machine; 1 runs in this process. Ignored by a dask cluster
            given by address, which uses all its workers.
        engine: ``loky`` or ``dask``.
        scheduler: address of a dask scheduler, e.g. ``tcp://host:8786``; None starts a cluster on
            this machine.

    Raises:
        UsageError: unknown engine, dask not installed, scheduler not reached.
        ManifestError: a worker or the scheduler was lost, or the task's own error.
    """
    if engine not in ENGINES:
        raise UsageError(f"--engine: expected {' or '.join(ENGINES)}, got {engine}")
    if not arguments:
        return
    if engine == "dask":
        outcomes = dask_outcomes(function, arguments, jobs, scheduler)
    else:
        outcomes = _loky_outcomes(function, arguments, jobs)
    with contextlib.closing(outcomes):
        try:
            for outcome in outcomes:
                if isinstance(outcome, Failure):
                    raise outcome.error()
                yield outcome
        except Exception as error:
            if not is_lost_worker(error):
                raise
            what = "the scheduler or a worker" if engine == "dask" else "a worker"
            raise ManifestError(
                f"{what} was lost ({type(error).__name__}: killed or out of memory); "
                "finished work is kept: run the same command again, with fewer --jobs"
            ) from error


def _loky_outcomes(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int
) -> Generator[Result | Failure, None, None]:
    if jobs == 1:
        for args in arguments:
            yield function(*args)
        return
    stopped = threading.Event()
    tasks = (joblib.delayed(guarded)(function, args) for args in arguments if not stopped.is_set())
    workers = {"inner_max_num_threads": 1, "initializer": _settle_in}
    with joblib.parallel_config("loky", n_jobs=jobs, **workers):
        parallel = joblib.Parallel(
            return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs"
        )
        outcomes = parallel(tasks)
        try:
            for outcome in outcomes:  # noqa: UP028 - `yield from` would abort it
                yield outcome
        except GeneratorExit:
            # Running tasks end, no further one begins. To abort loky kills its workers, and its
            # manager thread may then print a traceback of its own (KeyError, joblib 1.6).
            stopped.set()
            collections.deque(outcomes, maxlen=0)
            raise
