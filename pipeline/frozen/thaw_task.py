"""Thaw one shard: render its examples from one's own copies, compare, keep what is accepted.

As in a build one shard is one task, a pure function of what lies in ``OUT/.plan``. The file of its
verdicts is written last and marks the task as done; a shard of which nothing is accepted has
verdicts alone.
"""

from __future__ import annotations

from pathlib import Path

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.example import FORMAT_VERSION
from manifests.keys import shard_name, sidecar_name
from manifests.records import parse_json, row_builder, row_from_json
from manifests.shard import ShardEntry, ShardSidecar, ShardWriter
from manifests.shardset import read_sidecar
from pipeline.fingerprint import tools
from pipeline.frozen.thaw_example import thaw_example
from pipeline.frozen.thaw_plan import (
    THAW,
    ShardVerdicts,
    ThawHeader,
    ThawRow,
    rows_name,
    shard_sha256,
    thaw_url,
    verdicts_name,
)
from pipeline.frozen.verdict import ExampleVerdict
from pipeline.shard_task import PLAN_FOLDER


def thaw_shard(out: str, number: int) -> ShardVerdicts:
    """Thaw one shard of the plan in ``out/.plan``, or keep it where it is done.

    Raises:
        ManifestError: a source changed since it was matched, the disk is full, or this worker has
            other tools.
    """
    header = row_from_json(store.read_bytes(thaw_url(out, THAW)), ThawHeader, THAW)
    name = rows_name(number)
    text = store.read_text(thaw_url(out, name))
    plan_sha256 = shard_sha256(header, text)
    done = _finished(out, number, plan_sha256)
    if done is not None:
        return done
    _check_tools(header)
    build = row_builder(ThawRow)
    rows = [build(parse_json(line, name)) for line in text.split("\n") if line]
    verdicts, n_bytes = _write_shard(out, number, header, rows, plan_sha256)
    found = ShardVerdicts(number, plan_sha256, n_bytes, tuple(verdicts), False)
    store.write_text(thaw_url(out, verdicts_name(number)), canonical_json(found) + "\n")
    return found


def _check_tools(header: ThawHeader) -> None:
    """Refuse to render with other versions than the thaw began with, on another machine."""
    here = tools(header.config.read)
    differ = [
        f"{name}: expected {header.tools.get(name)}, got {here.get(name)}"
        for name in sorted(here.keys() | header.tools.keys())
        if here.get(name) != header.tools.get(name)
    ]
    if differ:
        raise ManifestError(
            f"this worker has other tools than the thaw: {'; '.join(differ)}; install the same "
            "versions on all workers"
        )


def _finished(out: str, number: int, plan_sha256: str) -> ShardVerdicts | None:
    """Return the verdicts of a shard that is done and fits the plan, else None."""
    try:
        name = verdicts_name(number)
        found = row_from_json(store.read_bytes(thaw_url(out, name)), ShardVerdicts, name)
        if found.plan_sha256 != plan_sha256:
            return None
        if found.n_bytes:
            sidecar = read_sidecar(out, number)
            size = store.size_bytes(store.join(out, sidecar.file))
            if sidecar.plan_sha256 != plan_sha256 or not size == sidecar.bytes == found.n_bytes:
                return None
    except ManifestError:
        return None
    return ShardVerdicts(number, plan_sha256, found.n_bytes, found.verdicts, True)


def _write_shard(
    out: str, number: int, header: ThawHeader, rows: list[ThawRow], plan_sha256: str
) -> tuple[list[ExampleVerdict], int]:
    name = shard_name(number)
    with store.partial_file(store.join(out, PLAN_FOLDER, name)) as path:
        verdicts, entries, n_bytes, sha256 = _write_tar(path, header, rows)
    store.remove(store.join(out, sidecar_name(number)))
    store.remove(store.join(out, name))
    if not entries:
        store.remove(store.join(out, PLAN_FOLDER, name))
        return verdicts, 0
    move(store.join(out, PLAN_FOLDER, name), store.join(out, name))
    sidecar = ShardSidecar(
        format_version=FORMAT_VERSION,
        file=name,
        domain=rows[0].row.domain,
        n_examples=len(entries),
        bytes=n_bytes,
        sha256=sha256,
        plan_sha256=plan_sha256,
        examples=tuple(entries),
    )
    store.write_text(store.join(out, sidecar_name(number)), canonical_json(sidecar) + "\n")
    return verdicts, n_bytes


def move(source: str, target: str) -> None:
    """Rename a file within a set; raises ManifestError where that fails."""
    if store.is_local(source):
        try:
            store.local_path(source).replace(store.local_path(target))
        except OSError as error:
            raise ManifestError(f"{target}: cannot be written: {error.strerror}") from error
        return
    file_system, path = store.filesystem(source)
    file_system.cp_file(path, store.filesystem(target)[1])  # mv takes * ? [ for a pattern
    file_system.rm_file(path)


def _write_tar(
    path: Path, header: ThawHeader, rows: list[ThawRow]
) -> tuple[list[ExampleVerdict], list[ShardEntry], int, str]:
    verdicts, entries = [], []
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for item in rows:
            verdict, example = thaw_example(item, header)
            verdicts.append(verdict)
            if example is None:
                continue
            offset, n_bytes = writer.add(item.row.key, example.files)
            entries.append(
                ShardEntry(
                    key=item.row.key,
                    offset=offset,
                    bytes=n_bytes,
                    member_bytes={ext: len(data) for ext, data in example.files.items()},
                    levels_db=example.levels_db,
                    record=example.record,
                )
            )
        n_bytes, sha256 = writer.close()
    return verdicts, entries, n_bytes, sha256
