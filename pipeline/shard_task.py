"""Build one shard: a pure function of the plan and the shard's number, in one task.

The plan lies in ``OUT/.plan`` while a build is under way, so a task is sent two short arguments
and can run on any machine that sees the output. Temporary file, sync, rename, then the sidecar:
only the sidecar says that the shard is done.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.audio import AudioError
from manifests.canonical import canonical_json, pretty_json, sha256_lines
from manifests.errors import ManifestError, UsageError
from manifests.example import FORMAT_VERSION
from manifests.keys import shard_name, sidecar_name
from manifests.records import parse_json, row_builder, row_from_json
from manifests.rows import PlanRow
from manifests.shard import ShardEntry, ShardSidecar, ShardWriter, iter_examples
from manifests.shardset import read_sidecar
from pipeline.audit import audit_example
from pipeline.fingerprint import tools
from pipeline.render import Rendered, RenderOptions, render

PLAN_FOLDER: Final = ".plan"
HEADER: Final = "plan.json"


@dataclass(frozen=True)
class PlanHeader:
    """``.plan/plan.json``: what all shards of a build share; removed when the set is done.

    Attributes:
        config: identity config of the set.
        plan_sha256: over all plan lines.
        tools: versions that the build began with.
        roots: corpus roots by role and name, as this machine sees them.
        options: rendering options.
    """

    config: dict[str, Any]
    plan_sha256: str
    tools: dict[str, str]
    roots: dict[str, dict[str, str]]
    options: RenderOptions


@dataclass(frozen=True)
class ShardDone:
    """What a finished task reports."""

    number: int
    n_examples: int
    n_bytes: int
    seconds: float
    resumed: bool


def plan_url(out: str, name: str) -> str:
    """Return the URL of a file of the plan folder."""
    return store.join(out, PLAN_FOLDER, name)


def rows_name(number: int) -> str:
    """Return the file name of a shard's plan rows."""
    return f"shard-{number:06d}.jsonl"


def write_rows(out: str, number: int, rows: list[PlanRow]) -> None:
    """Write the plan rows of a shard, one JSON line each."""
    store.write_text(plan_url(out, rows_name(number)), "".join(_line(row) for row in rows))


def _line(row: PlanRow) -> str:
    return canonical_json(row) + "\n"


def read_rows(out: str, number: int) -> list[PlanRow]:
    """Read the plan rows of a shard back; raises ManifestError where they are malformed."""
    build = row_builder(PlanRow)
    name = rows_name(number)
    text = store.read_text(plan_url(out, name))
    # Not splitlines(): tags and names may hold U+2028 or U+0085, which JSON does not escape.
    return [build(parse_json(line, name)) for line in text.split("\n") if line]


def shard_plan_sha256(header: PlanHeader, rows: list[PlanRow]) -> str:
    """Return the hash of all that a shard's bytes depend on: rows, config and tools.

    Paths do not count, so a corpus may be moved between two runs.
    """
    bare = [
        replace(
            row,
            music=replace(row.music, path=""),
            noises=tuple(replace(noise, path="") for noise in row.noises),
        )
        for row in rows
    ]
    shared = {"options": asdict(header.options), "tools": header.tools}
    return sha256_lines([canonical_json(shared), *(canonical_json(row) for row in bare)])


def finished_shard(out: str, number: int, plan_sha256: str) -> ShardSidecar | None:
    """Return the sidecar of a shard that is done and fits the plan, else None.

    A sidecar that cannot be read, belongs to another plan, or whose tar is missing or of another
    size is no done-marker: the shard is built again.
    """
    try:
        sidecar = read_sidecar(out, number)
    except ManifestError:
        return None
    size = store.size_bytes(store.join(out, sidecar.file))
    fits = sidecar.plan_sha256 == plan_sha256 and sidecar.file == shard_name(number)
    return sidecar if fits and size == sidecar.bytes else None


def build_shard(out: str, number: int, audit: bool) -> ShardDone:
    """Build one shard of the plan in ``out/.plan``, or keep it where it is done.

    Args:
        out: path or URL of the set.
        number: number of the shard.
        audit: decode every written member again and check it before the shard counts.

    Raises:
        ManifestError: a source changed, an audit failed, the disk is full, or this worker's tools
            are not those the build began with.
    """
    header = row_from_json(store.read_bytes(plan_url(out, HEADER)), PlanHeader, HEADER)
    rows = read_rows(out, number)
    plan_sha256 = shard_plan_sha256(header, rows)
    done = finished_shard(out, number, plan_sha256)
    resumed = done is not None
    if done is None:
        _check_tools(header)
        try:
            done = _write_shard(out, number, header, rows, plan_sha256, audit)
        except ManifestError as error:
            if type(error) is ManifestError and isinstance(error.__cause__, OSError):
                advice = "finished shards are kept: make room and run the same command again"
                raise ManifestError(f"{error}; {advice}") from error
            raise
    seconds = sum(row.music.duration_s for row in rows)
    return ShardDone(number, done.n_examples, done.bytes, seconds, resumed)


def _check_tools(header: PlanHeader) -> None:
    here = tools(header.options.read)
    if here != header.tools:
        differ = [
            f"{name}: expected {header.tools.get(name)}, got {here.get(name)}"
            for name in sorted(here.keys() | header.tools.keys())
            if here.get(name) != header.tools.get(name)
        ]
        raise ManifestError(f"this worker has other tools than the build: {'; '.join(differ)}")


def _write_shard(
    out: str,
    number: int,
    header: PlanHeader,
    rows: list[PlanRow],
    plan_sha256: str,
    audit: bool,
) -> ShardSidecar:
    name = shard_name(number)
    with store.partial_file(store.join(out, name)) as path:
        entries, n_bytes, sha256 = _write_tar(path, header, rows)
        if audit:
            _audit(path, name, header.options.snrs_db, sha256, rows)
    sidecar = ShardSidecar(
        format_version=FORMAT_VERSION,
        file=name,
        domain=rows[0].domain,
        n_examples=len(rows),
        bytes=n_bytes,
        sha256=sha256,
        plan_sha256=plan_sha256,
        examples=tuple(entries),
    )
    store.write_text(store.join(out, sidecar_name(number)), canonical_json(sidecar) + "\n")
    return sidecar


def _write_tar(
    path: Path, header: PlanHeader, rows: list[PlanRow]
) -> tuple[list[ShardEntry], int, str]:
    entries = []
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for row in rows:
            rendered = _render(row, header)
            offset, n_bytes = writer.add(row.key, rendered.files)
            entries.append(
                ShardEntry(
                    key=row.key,
                    offset=offset,
                    bytes=n_bytes,
                    member_bytes={ext: len(data) for ext, data in rendered.files.items()},
                    levels_db=rendered.levels_db,
                    record=rendered.example,
                )
            )
        n_bytes, sha256 = writer.close()
    return entries, n_bytes, sha256


def _render(row: PlanRow, header: PlanHeader) -> Rendered:
    """Render a row; an error that names no file names the example."""
    try:
        return render(row, header.roots, header.options)
    except (AudioError, UsageError):
        raise
    except (ManifestError, ValueError) as error:
        raise ManifestError(f"{row.key} ({row.music.path}): {error}") from error


def _audit(
    path: Path, name: str, snrs_db: tuple[float, ...], sha256: str, rows: list[PlanRow]
) -> None:
    """Read the written tar again and check every example against the plan."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ManifestError(f"{name}: expected SHA-256 {sha256}, read back {found}")
        file.seek(0)
        keys = []
        for key, files in iter_examples(file, name):
            audit_example(files, f"{name}: {key}", snrs_db)
            keys.append(key)
    if keys != [row.key for row in rows]:
        raise ManifestError(f"{name}: expected {len(rows)} examples of the plan, read {len(keys)}")


def write_header(out: str, header: PlanHeader) -> None:
    """Write ``.plan/plan.json``."""
    store.write_text(plan_url(out, HEADER), pretty_json(asdict(header)))
