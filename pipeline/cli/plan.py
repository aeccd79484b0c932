"""``prep plan``: the plan and its summary; nothing is rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import click

from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from pipeline.cli.build import explicit_options, suite_option
from pipeline.cli.options import apply, as_json
from pipeline.cli.requests import make_plans, make_request
from pipeline.cli.set_options import set_options
from pipeline.cli.text import estimated_bytes, human_bytes, plan_lines, tag_lines
from pipeline.cli.visible import visible
from pipeline.planned import Plan
from pipeline.progress import reporter
from pipeline.reject_limit import check_rejects
from pipeline.topology import Topology, feeds


@click.command("plan")
@apply(set_options)
@suite_option
@click.option(
    "--nodes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Machines that will train.",
)
@click.option(
    "--gpus",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="GPUs (ranks) of each machine.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Loader workers of each rank.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(2),
    default=48,
    show_default=True,
    help="Examples a rank takes from a half in each step; in stage 1 from both together.",
)
@as_json
@click.pass_context
def plan_command(
    ctx: click.Context,
    /,
    as_json: bool,
    nodes: int,
    gpus: int,
    workers: int,
    batch_size: int,
    **values: Any,
) -> None:
    """Show what build-shards would build: examples, hours, disk, tags, rejects.

    Also whether the sets feed --nodes x --gpus ranks with --workers each evenly; exit status 1
    where one of these is given and a training set does not, or where build-shards would stop at
    --max-reject-percent.
    """
    request = make_request(values, explicit_options(ctx))
    plans, left_out = make_plans(request, reporter(quiet=as_json))
    topology = Topology(nodes, gpus, workers, batch_size)
    verdicts = {
        (k, role): feeds(plan, topology, pretraining=role == "pretrain-train")
        for (k, role), plan in plans.items()
    }
    stops = _stops(plans.values(), request.run.max_reject_percent)
    if as_json:
        sets = [{**_record(plan), "feeds": verdicts[key].line} for key, plan in plans.items()]
        record = {"sets": sets, "left_out": left_out, "stops": stops}
        click.echo(pretty_json(record), nl=False)
    else:
        lines = []
        for key, plan in plans.items():
            lines += [*plan_lines(plan), f"  {verdicts[key].line}"]
        lines += tags_and_notes(list(plans.values()))
        lines += [f"left out {line}" for line in left_out]
        if len(plans) > 1:
            total = sum(estimated_bytes(plan) for plan in plans.values())
            lines.append(f"{len(plans)} sets, about {human_bytes(total)}")
        lines += [f"build-shards would stop: {line}" for line in stops]
        click.echo("\n".join(visible(line) for line in lines))
    asked = {"nodes", "gpus", "workers", "batch_size"} & explicit_options(ctx)
    if stops or (asked and not all(verdict.enough for verdict in verdicts.values())):
        ctx.exit(1)


def tags_and_notes(plans: Sequence[Plan]) -> list[str]:
    """Return the tags of each choice of music, and what was noted of the sets on it, each once."""
    lines = []
    for music in dict.fromkeys(plan.config.music for plan in plans):
        same = [plan for plan in plans if plan.config.music == music]
        lines += [f"tags of {', '.join(music)}:", *tag_lines(same[-1])]
        lines += dict.fromkeys(f"  {note}" for plan in same for note in plan.notes)
    return lines


def _stops(plans: Iterable[Plan], max_reject_percent: float) -> list[str]:
    """Return why build-shards would not begin, each reason once."""
    lines = []
    for plan in plans:
        try:
            check_rejects(plan, max_reject_percent)
        except ManifestError as error:
            lines.append(str(error))
    return list(dict.fromkeys(lines))


def _record(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.config.name,
        "examples": len(plan.rows),
        "hours": round(plan.seconds / 3600, 4),
        "estimated_bytes": round(estimated_bytes(plan)),
        "shards": plan.rows[-1].shard + 1,
        "band_hz": plan.band_hz,
        "domains": dict(Counter(row.domain for row in plan.rows if row.domain)),
        "rejects": dict(Counter(reject.reason for reject in plan.rejects)),
        "tags": plan.vocabulary.to_dict(),
        "plan_sha256": plan.sha256(),
        "config": plan.config.identity(plan.band_hz),
        "notes": list(plan.notes),
    }
