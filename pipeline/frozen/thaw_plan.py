"""What a thaw keeps in ``OUT/.plan`` for its tasks, and the hash of all that a shard depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, sha256_lines
from manifests.records import parse_json
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.match import Match
from pipeline.frozen.rows import FrozenRow, FrozenSource
from pipeline.frozen.verdict import ExampleVerdict
from pipeline.shard_task import PLAN_FOLDER

THAW: Final = "thaw.json"


@dataclass(frozen=True)
class ThawHeader:
    """``.plan/thaw.json``: what all shards of a thaw share.

    Attributes:
        recipe_id: id of the recipe.
        config: see ``FrozenConfig``.
        accept: ``identical`` or ``1lsb``.
        tools: versions on this machine.
        roots: corpus roots by role and name, as this machine sees them.
    """

    recipe_id: str
    config: FrozenConfig
    accept: str
    tools: dict[str, str]
    roots: dict[str, dict[str, str]]


@dataclass(frozen=True)
class ThawRow:
    """One line of ``.plan/thaw-NNNNNN.jsonl``: an example, and what was found for it."""

    row: FrozenRow
    sketches: tuple[str, ...]
    sources: tuple[FrozenSource, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class ShardVerdicts:
    """``.plan/verdicts-NNNNNN.json``.

    Attributes:
        number: number of the shard in the recipe.
        plan_sha256: over all that the shard depends on.
        n_bytes: size of its tar; 0 where nothing was accepted.
        verdicts: verdict on each example, in order.
        resumed: it was done already.
    """

    number: int
    plan_sha256: str
    n_bytes: int
    verdicts: tuple[ExampleVerdict, ...]
    resumed: bool


def thaw_url(out: str, name: str) -> str:
    """Return the URL of a file of the plan folder."""
    return store.join(out, PLAN_FOLDER, name)


def rows_name(number: int) -> str:
    """Return the file name of a shard's rows."""
    return f"thaw-{number:06d}.jsonl"


def verdicts_name(number: int) -> str:
    """Return the file name of a shard's verdicts."""
    return f"verdicts-{number:06d}.json"


def rows_text(rows: list[ThawRow]) -> str:
    """Return the lines of a shard's rows."""
    return "".join(canonical_json(row) + "\n" for row in rows)


def shard_sha256(header: ThawHeader, text: str) -> str:
    """Return the hash of all that a shard's bytes depend on; paths do not count."""
    shared = {"config": asdict(header.config), "accept": header.accept, "tools": header.tools}
    return sha256_lines(
        [canonical_json(shared), *(_bare(line) for line in text.split("\n") if line)]
    )


def _bare(line: str) -> str:
    record = parse_json(line, "thaw")
    for match in record["matches"]:
        del match["path"], match["how"], match["detail"]
    return canonical_json(record)
