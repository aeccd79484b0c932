"""Tasks on a dask cluster, through ``distributed`` itself.

Under joblib's dask backend a task whose workers die never returns (measured with joblib 1.6 and
distributed 2026.7), and a cluster of one core is passed over.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final, TypeVar

from manifests.errors import ManifestError, UsageError
from manifests.extras import how_to_install
from pipeline.task_outcome import Failure, guarded, is_lost_worker

Result = TypeVar("Result")
SCHEDULER_TIMEOUT_S: Final = 20.0
NO_WORKERS_S: Final = 600.0
LOOK_EVERY_S: Final = 5.0
UNANSWERED_LOOKS: Final = 3
"""In a row, of ``SCHEDULER_TIMEOUT_S`` each, are the end: a scheduler may be busy for a while."""
POLL_S: Final = 0.05
_NO_DASHBOARD: Final = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""Without an address its scheduler asks for port 8787 all the same, which another one may have."""
_log = logging.getLogger(__name__)


def dask_outcomes(
    function: Callable[..., Result],
    arguments: Sequence[tuple[Any, ...]],
    jobs: int,
    scheduler: str | None,
) -> Generator[Result | Failure, None, None]:
    """Run tasks on a cluster; yield results and failures as they come.

    Args:
        function: importable on the workers.
        arguments: one tuple per task.
        jobs: workers of the cluster that is started where ``scheduler`` is None.
        scheduler: address of a scheduler.

    Raises:
        UsageError: dask is not installed, or no scheduler answers.
        ManifestError: the workers cannot load this software, none comes, or the scheduler does not
            answer any more.
    """
    with _dask_client(jobs, scheduler) as client:
        from distributed import as_completed

        futures = client.map(lambda args: guarded(function, args), arguments, pure=False)
        completed: Any = as_completed(futures)  # type: ignore[no-untyped-call]
        workers = _Workers(client, scheduler)
        while not completed.is_empty():
            if not completed.has_ready():
                workers.expect()
                time.sleep(POLL_S)
                continue
            future = next(completed)
            yield _outcome(future, workers)
            future.release()


class _Workers:
    """Looks now and then whether the cluster has workers at all: dask itself waits for ever."""

    def __init__(self, client: Any, scheduler: str | None) -> None:
        self.client, self.scheduler = client, scheduler
        self.looked = self.seen = time.monotonic()
        self.warned = False
        self.unanswered = 0

    def expect(self) -> None:
        """Raise ManifestError where there was none for ``NO_WORKERS_S``; warn before that."""
        now = time.monotonic()
        if now - self.looked < LOOK_EVERY_S:
            return
        found = self._found()
        self.looked = time.monotonic()
        if found:
            self.seen, self.warned = now, False
        elif now - self.seen > NO_WORKERS_S:
            raise ManifestError(
                f"--scheduler {self.scheduler}: expected workers, got none for "
                f"{NO_WORKERS_S / 60:.0f} min; finished work is kept: start workers with "
                f"'dask worker {self.scheduler}' and run the same command again"
            )
        elif not self.warned:
            self.warned = True
            _log.warning(
                "%s has no workers; waiting up to %.0f min", self.scheduler, NO_WORKERS_S / 60
            )

    def _found(self) -> bool:
        """Tell whether there are workers, or nobody who could say so.

        A scheduler that is stopped, or beyond a network that drops what is sent, keeps its
        connection open, and dask waits for its answer for ever.
        """
        if self.client.status != "running":
            return True
        try:
            threads = self.client.sync(
                self.client.scheduler.ncores, callback_timeout=SCHEDULER_TIMEOUT_S
            )
        except TimeoutError as error:
            self.unanswered += 1
            if self.unanswered < UNANSWERED_LOOKS:
                return True
            raise ManifestError(
                f"{self.client.scheduler.address}: expected an answer of the dask scheduler, got "
                f"none {self.unanswered} times for {SCHEDULER_TIMEOUT_S:.0f} s; finished work is "
                "kept: start it again and run the same command"
            ) from error
        self.unanswered = 0
        return bool(threads)


def _outcome(future: Any, workers: _Workers) -> Any:
    """Return a future's result; errors of the task itself are results, others are the cluster's.

    A worker may end between the end of its task and the fetching of the result: the task is then
    run again, and ``result()`` would wait for ever where no worker is left to do so.
    """
    try:
        while True:
            try:
                return future.result(timeout=LOOK_EVERY_S)
            except TimeoutError:  # of ours: a task's own comes as a Failure
                workers.expect()
    except ManifestError:
        raise
    except Exception as error:
        if is_lost_worker(error):
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
        raise UsageError(f"--engine dask: {how_to_install('dask')}") from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet("distributed", "distributed.client"))
        try:
            if scheduler is None:
                scheduler = stack.enter_context(
                    distributed.LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=jobs, threads_per_worker=1, scheduler_kwargs=_NO_DASHBOARD
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
