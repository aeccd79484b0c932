"""Run independent tasks under joblib: in this process, in loky workers, or on a dask cluster.

Tasks are a function and small arguments, results small tuples or dicts, so that neither a
scheduler nor the parent holds audio. Results come in any order; nothing may depend on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib

from manifests.errors import ManifestError, UsageError

Result = TypeVar("Result")
ENGINES = ("loky", "dask")


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
        ManifestError: a worker was lost, or the task's own error.
    """
    if not arguments:
        return
    with _backend(jobs, engine, scheduler):
        parallel = joblib.Parallel(
            return_as="generator_unordered", batch_size=1, pre_dispatch="2 * n_jobs"
        )
        try:
            yield from parallel(joblib.delayed(function)(*args) for args in arguments)
        except ManifestError:
            raise
        except Exception as error:
            if _is_lost_worker(error):
                raise ManifestError(
                    f"a worker was lost ({type(error).__name__}: killed or out of memory); "
                    "finished work is kept: run the same command again, with fewer --jobs"
                ) from error
            raise


def _is_lost_worker(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        names & {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "CommClosedError"}
    )


@contextlib.contextmanager
def _backend(jobs: int, engine: str, scheduler: str | None) -> Iterator[None]:
    if engine not in ENGINES:
        raise UsageError(f"--engine: expected {' or '.join(ENGINES)}, got {engine}")
    if engine == "dask":
        with _dask_client(jobs, scheduler), joblib.parallel_config("dask", n_jobs=-1):
            yield
    elif jobs == 1:
        with joblib.parallel_config("sequential", n_jobs=1):
            yield
    else:
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            yield


@contextlib.contextmanager
def _dask_client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    try:
        import distributed
    except ImportError as error:
        raise UsageError("--engine dask: install robust-tagger[dask]") from error
    with contextlib.ExitStack() as stack:
        try:
            if scheduler is None:
                scheduler = stack.enter_context(
                    distributed.LocalCluster(  # type: ignore[no-untyped-call]
                        n_workers=jobs, threads_per_worker=1, dashboard_address=None
                    )
                ).scheduler_address
            client = distributed.Client(scheduler, timeout="20s")  # type: ignore[no-untyped-call]
        except OSError as error:
            raise UsageError(
                f"--scheduler {scheduler}: no dask scheduler answers there ({error}); "
                "start one with 'dask scheduler'"
            ) from error
        yield stack.enter_context(client)
