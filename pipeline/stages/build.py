"""Build: render a plan's shards in parallel and finish the set.

A build can be killed at any instant. Run again with the same options it keeps what is done and ends
with the same bytes.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from manifests import store
from manifests.errors import UsageError
from manifests.shardset import INDEX, load_set
from pipeline.config import RunOptions
from pipeline.engine import run_tasks
from pipeline.fingerprint import tools
from pipeline.finish import finish_set, index_tags
from pipeline.memory_need import memory_note
from pipeline.output import check_output, locked, prepare_output
from pipeline.planned import Plan
from pipeline.progress import Reporter, SilentReporter
from pipeline.reject_limit import check_rejects
from pipeline.render import RenderOptions, Roots, SourceChangedError
from pipeline.scan_cache import forget
from pipeline.shard_task import PlanHeader, build_shard, write_header, write_rows
from pipeline.sources import absolute_url

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildSummary:
    """What a build did.

    Attributes:
        name: name of the set.
        out: path or URL of the set.
        n_examples: examples in the set.
        n_shards: shards in the set.
        n_resumed: shards that were already done.
        hours: music hours (one member each).
        audio_hours: hours of all audio members.
        n_bytes: bytes of all shards.
        rejects: rejects by reason.
        wall_s: seconds that this run took.
        realtime_factor: seconds of audio written by this run per second of wall time.
    """

    name: str
    out: str
    n_examples: int
    n_shards: int
    n_resumed: int
    hours: float
    audio_hours: float
    n_bytes: int
    rejects: dict[str, int]
    wall_s: float
    realtime_factor: float


def build_set(
    plan: Plan,
    out: str,
    roots: Roots,
    *,
    run: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> BuildSummary:
    """Build a set, or go on with one that was interrupted.

    Args:
        plan: see ``plan_set``.
        out: path or fsspec URL of the set.
        roots: corpus roots by role (``music``, ``noise``) and name.
        run: workers, audit, limits.
        reporter: shows progress.

    Raises:
        UsageError: ``memory://`` with other processes.
        ManifestError: too many rejects, output of another config, another build that is writing
            there, a changed source, a failed audit, a full disk, a lost worker.
    """
    run, reporter = run or RunOptions(), reporter or SilentReporter()
    begin = time.monotonic()
    check_rejects(plan, run.max_reject_percent)
    out = absolute_url(out)
    if store.scheme(out) == "memory" and (run.jobs > 1 or run.engine != "loky"):
        raise UsageError(f"{out}: lives in this process alone: expected --jobs 1")
    header = plan_header(plan, roots)
    with locked(out):
        if prepare_output(out, header, index_tags(plan), overwrite=run.overwrite):
            n_resumed, seconds_resumed = _build(plan, out, header, run, reporter)
        else:
            n_resumed, seconds_resumed = len(plan.shards()), plan.seconds
    return _summary(plan, out, n_resumed, seconds_resumed, time.monotonic() - begin)


def check_place(plan: Plan, out: str, roots: Roots, *, overwrite: bool) -> None:
    """Refuse an output folder that ``build_set`` would refuse, before anything is rendered.

    Raises:
        ManifestError: it holds something else, or a set of another config.
    """
    check_output(absolute_url(out), plan_header(plan, roots), index_tags(plan), overwrite=overwrite)


def plan_header(plan: Plan, roots: Roots) -> PlanHeader:
    """Return what all shards of a build share."""
    options = RenderOptions(
        plan.config.snrs_db if plan.config.noise else (),
        plan.config.codec,
        plan.config.read_options(plan.band_hz),
    )
    return PlanHeader(
        config=plan.config.identity(plan.band_hz),
        plan_sha256=plan.sha256(),
        tools=tools(options.read),
        roots={
            role: {name: absolute_url(root) for name, root in names.items()}
            for role, names in roots.items()
        },
        options=options,
    )


def _build(
    plan: Plan, out: str, header: PlanHeader, run: RunOptions, reporter: Reporter
) -> tuple[int, float]:
    """Build all shards and finish the set; returns shards and seconds that were already done."""
    n_resumed, seconds_resumed = 0, 0.0
    if run.scheduler is None and (note := memory_note(plan, run.jobs)):
        _log.warning("%s", note)
    shards = plan.shards()
    write_header(out, header)
    store.remove(store.join(out, INDEX))  # there only where files of a finished set were lost
    for number, rows in shards.items():
        write_rows(out, number, rows)
    with reporter.track(f"build {plan.config.name}", len(plan.rows), "examples") as advance:
        try:
            for done in run_tasks(
                build_shard,
                [(out, number, run.audit) for number in shards],
                jobs=run.jobs,
                engine=run.engine,
                scheduler=run.scheduler,
            ):
                n_resumed += done.resumed
                seconds_resumed += done.seconds if done.resumed else 0.0
                advance(done.n_examples)
        except SourceChangedError as error:
            forget(error.url)
            raise
    store.remove_partials(out)  # of workers that outlived a killed run by a moment
    finish_set(plan, out, header)
    return n_resumed, seconds_resumed


def _summary(
    plan: Plan, out: str, n_resumed: int, seconds_resumed: float, wall_s: float
) -> BuildSummary:
    n_members = len(plan.config.members)
    index = load_set(out).index
    return BuildSummary(
        name=plan.config.name,
        out=out,
        n_examples=len(plan.rows),
        n_shards=len(index.shards),
        n_resumed=n_resumed,
        hours=round(plan.seconds / 3600, 4),
        audio_hours=round(plan.seconds * n_members / 3600, 4),
        n_bytes=sum(shard.bytes for shard in index.shards),
        rejects=dict(Counter(reject.reason for reject in plan.rejects).most_common()),
        wall_s=round(wall_s, 2),
        realtime_factor=round((plan.seconds - seconds_resumed) * n_members / max(wall_s, 1e-3), 1),
    )


def summary_dict(summary: BuildSummary) -> dict[str, Any]:
    """Return the summary as plain values, for ``--json``."""
    return asdict(summary)
