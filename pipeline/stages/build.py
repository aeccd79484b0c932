"""Build: render a plan's shards in parallel and finish the set.

A build can be killed at any instant. Run again with the same options it keeps what is done and ends
with the same bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from manifests import store
from manifests.errors import ManifestError
from manifests.records import row_from_json
from manifests.shardset import INDEX, load_set
from pipeline.config import RunOptions
from pipeline.engine import run_tasks
from pipeline.fingerprint import tools
from pipeline.finish import finish_set
from pipeline.planned import Plan
from pipeline.progress import Reporter, SilentReporter
from pipeline.render import RenderOptions, Roots
from pipeline.shard_task import (
    HEADER,
    PLAN_FOLDER,
    PlanHeader,
    build_shard,
    plan_url,
    write_header,
    write_rows,
)
from pipeline.stages.plan import check_rejects


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
        ManifestError: too many rejects, output of another config, a changed source, a failed
            audit, a full disk, a lost worker.
    """
    run, reporter = run or RunOptions(), reporter or SilentReporter()
    begin = time.monotonic()
    check_rejects(plan, run.max_reject_percent)
    options = RenderOptions(
        plan.config.snrs_db if plan.config.noise else (),
        plan.config.codec,
        plan.config.read_options(plan.band_hz),
    )
    header = PlanHeader(
        config=plan.config.identity(plan.band_hz),
        plan_sha256=plan.sha256(),
        tools=tools(options.read),
        roots={role: dict(names) for role, names in roots.items()},
        options=options,
    )
    shards = plan.shards()
    seconds_resumed = 0.0
    n_resumed = 0
    if prepare_output(out, header, overwrite=run.overwrite):
        write_header(out, header)
        for number, rows in shards.items():
            write_rows(out, number, rows)
        with reporter.track(f"build {plan.config.name}", len(plan.rows), "examples") as advance:
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
        finish_set(plan, out, header)
    else:
        n_resumed, seconds_resumed = len(shards), plan.seconds
    return _summary(plan, out, n_resumed, seconds_resumed, time.monotonic() - begin)


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
        n_bytes=sum(shard.n_bytes for shard in index.shards),
        rejects=dict(Counter(reject.reason for reject in plan.rejects).most_common()),
        wall_s=round(wall_s, 2),
        realtime_factor=round((plan.seconds - seconds_resumed) * n_members / max(wall_s, 1e-3), 1),
    )


def prepare_output(out: str, header: PlanHeader, *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or an unfinished or finished build of this very plan.

    Returns:
        Whether there is work to do: False where the set is already finished.

    Raises:
        ManifestError: it holds something else, with the difference.
    """
    if overwrite:
        _clear(out)
    store.remove_partials(out)
    store.remove_partials(store.join(out, PLAN_FOLDER))
    if store.exists(store.join(out, INDEX)):
        index = load_set(out).index
        _check_same(out, header, index.config, index.plan_sha256, index.tools)
        store.remove(store.join(out, PLAN_FOLDER))
        return False
    path = plan_url(out, HEADER)
    if store.exists(path):
        old = row_from_json(store.read_bytes(path), PlanHeader, path)
        _check_same(out, header, old.config, old.plan_sha256, old.tools)
    elif names := store.list_names(out):
        raise ManifestError(
            f"{out}: expected an empty or new folder, found {', '.join(names[:3])} and no set; "
            "choose another --out, or --overwrite to remove what is there"
        )
    return True


def _clear(out: str) -> None:
    """Remove a set: its done-marker first, so that what is left never looks whole."""
    store.remove(store.join(out, INDEX))
    looks_ours = store.exists(plan_url(out, HEADER)) or any(
        name.startswith("shard-") for name in store.list_names(out)
    )
    if looks_ours or not store.exists(out):
        store.remove(out)
        return
    if names := store.list_names(out):
        raise ManifestError(
            f"{out}: --overwrite removes sets only; this folder holds {', '.join(names[:3])}: "
            "remove it yourself"
        )


def _check_same(
    out: str,
    header: PlanHeader,
    config: dict[str, Any],
    plan_sha256: str,
    found_tools: dict[str, str],
) -> None:
    for what, ours, theirs in (
        ("option", header.config, config),
        ("tool", header.tools, found_tools),
    ):
        differ = _differences(ours, theirs)
        if differ:
            raise ManifestError(
                f"{out}: holds a set of another {what}: {'; '.join(differ)}; choose another --out "
                "or --overwrite"
            )
    if plan_sha256 != header.plan_sha256:
        raise ManifestError(
            f"{out}: holds a set of the same options, but the corpora changed (other clips or "
            f"files; plan {plan_sha256[:12]}…, now {header.plan_sha256[:12]}…); choose another "
            "--out or --overwrite"
        )


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    ours, theirs = _plain(ours), _plain(theirs)
    return [
        f"{name} was {theirs.get(name)!r}, now {ours.get(name)!r}"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as JSON would give it back, so that tuples equal lists."""
    import json

    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def summary_dict(summary: BuildSummary) -> dict[str, Any]:
    """Return the summary as plain values, for ``--json``."""
    return asdict(summary)
