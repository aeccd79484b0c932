"""Run independent tasks: in this process, in loky workers (joblib), or on a dask cluster.

Tasks are a function and small arguments, results small tuples or dicts, so that neither a
scheduler nor the parent holds audio. Results come in any order; nothing may depend on it.

Dask is driven through ``distributed`` itself: under joblib's dask backend a task whose workers die
never returns (measured with joblib 1.6), and a cluster of one core is passed over.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import joblib

from manifests.errors import ManifestError, UsageError

Result = TypeVar("Result")
ENGINES = ("loky", "dask")
SCHEDULER_TIMEOUT_S: Final = 20.0
_LOST: Final = {
    "TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "CommClosedError",
    "CancelledError", "FutureCancelledError",
}  # fmt: skip


@dataclass(frozen=True)
class _Failure:
    """An error of a task, in parts: exceptions with arguments of their own do not unpickle."""

    kind: type[Exception]
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    trace: str

    def error(self) -> Exception:
        error = self.kind.__new__(self.kind, *self.arguments)
        error.__dict__.update(self.state)
        error.add_note(f"in a worker:\n{self.trace}")
        return error


def _guarded(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result | _Failure:
    try:
        return function(*arguments)
    except Exception as error:
        state = {k: v for k, v in error.__dict__.items() if k != "__notes__"}
        return _Failure(type(error), error.args, state, traceback.format_exc())


def _in_loky(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result | _Failure:
    _end_with_parent()
    return _guarded(function, arguments)


@functools.cache
def _end_with_parent() -> None:
    """End this worker soon after the process that started it is gone (kill -9, out of memory).

    loky's workers would finish the task, begin the next and then wait for five minutes, while the
    user may already have begun another build in the same place.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


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
        outcomes = _dask_outcomes(function, arguments, jobs, scheduler)
    else:
        outcomes = _loky_outcomes(function, arguments, jobs)
    with contextlib.closing(outcomes):
        try:
            for outcome in outcomes:
                if isinstance(outcome, _Failure):
                    raise outcome.error()
                yield outcome
        except Exception as error:
            if not _is_lost_worker(error):
                raise
            what = "the scheduler or a worker" if engine == "dask" else "a worker"
            raise ManifestError(
                f"{what} was lost ({type(error).__name__}: killed or out of memory); "
                "finished work is kept: run the same command again, with fewer --jobs"
            ) from error


def _is_lost_worker(error: Exception) -> bool:
    return bool(_LOST & {kind.__name__ for kind in type(error).__mro__})


def _loky_outcomes(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int
) -> Generator[Result | _Failure, None, None]:
    if jobs == 1:
        for args in arguments:
            yield function(*args)
        return
    stopped = threading.Event()
    tasks = (joblib.delayed(_in_loky)(function, args) for args in arguments if not stopped.is_set())
    with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
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


def _dask_outcomes(
    function: Callable[..., Result],
    arguments: Sequence[tuple[Any, ...]],
    jobs: int,
    scheduler: str | None,
) -> Generator[Result | _Failure, None, None]:
    with _dask_client(jobs, scheduler) as client:
        from distributed import as_completed

        futures = client.map(lambda args: _guarded(function, args), arguments, pure=False)
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            yield _outcome(future)
            future.release()


def _outcome(future: Any) -> Any:
    """Return a future's result; errors of the task itself are results, others are the cluster's."""
    try:
        return future.result()
    except Exception as error:
        if _is_lost_worker(error):
            raise
        line = str(error).partition(". ")[0].replace("\n", " ")
        raise ManifestError(
            f"--engine dask: its workers cannot run the task ({type(error).__name__}: {line}); "
            "they need the same Python, with this version of robust-tagger"
        ) from error


@contextlib.contextmanager
def _dask_client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    try:
        import distributed
    except ImportError as error:
        raise UsageError("--engine dask: install robust-tagger[dask]") from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet("distributed", "distributed.client"))
        try:
            if scheduler is None:
                scheduler = stack.enter_context(
                    distributed.LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=jobs, threads_per_worker=1, dashboard_address=None
                    )
                ).scheduler_address
            else:
                _reach(scheduler)
            client = distributed.Client(scheduler, timeout=SCHEDULER_TIMEOUT_S)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--scheduler {scheduler}: no dask scheduler answers there ({error}); "
                "start one with 'dask scheduler'"
            ) from error
        yield stack.enter_context(client)


def _reach(scheduler: str) -> None:
    """Wait until something listens at an address; raises OSError or ValueError where nothing does.

    Before a client is made: one that cannot connect stays half made, and deadlocks when it is
    collected while another is made (distributed 2026.7).
    """
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    protocol, place = parse_address(scheduler)
    get_backend(protocol)
    if protocol not in ("tcp", "tls"):
        return
    host_port = parse_host_port(place)
    deadline = time.monotonic() + SCHEDULER_TIMEOUT_S
    while True:
        try:
            socket.create_connection(host_port, timeout=SCHEDULER_TIMEOUT_S).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


@contextlib.contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Keep loggers silent for a while: what distributed logs as tracebacks, we raise in a line."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
