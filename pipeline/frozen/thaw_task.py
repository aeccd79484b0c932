"""Thaw one shard: render its examples from one's own copies, compare, keep what is accepted.

As in a build one shard is one task, a pure function of what lies in ``OUT/.plan``. The file of its
verdicts is written last and marks the task as done; a shard of which nothing is accepted has
verdicts alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.audio import AudioError
from manifests.canonical import canonical_json, sha256_lines
from manifests.errors import ManifestError
from manifests.example import FORMAT_VERSION
from manifests.keys import shard_name, sidecar_name
from manifests.reading import resampled_length
from manifests.records import parse_json, row_builder, row_from_json
from manifests.rows import SAMPLE_RATE
from manifests.shard import ShardEntry, ShardSidecar, ShardWriter
from manifests.shardset import read_sidecar
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.match import MISSING, Match
from pipeline.frozen.replay import level_db, member_files, replay, replayed_example
from pipeline.frozen.rows import FrozenRow, FrozenSource
from pipeline.frozen.verdict import (
    ACCEPTS,
    ExampleVerdict,
    failed_verdict,
    missing_verdict,
    output_verdict,
)
from pipeline.render import Roots, SourceChangedError
from pipeline.shard_task import PLAN_FOLDER

THAW: Final = "thaw.json"
MAX_DELAY_S: Final = 0.2
"""What encoders add and gapless headers take away: up to 4,608 samples of 22,050 Hz."""


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
    build = row_builder(ThawRow)
    rows = [build(parse_json(line, name)) for line in text.split("\n") if line]
    verdicts, n_bytes = _write_shard(out, number, header, rows, plan_sha256)
    found = ShardVerdicts(number, plan_sha256, n_bytes, tuple(verdicts), False)
    store.write_text(thaw_url(out, verdicts_name(number)), canonical_json(found) + "\n")
    return found


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
    file_system.mv(path, store.filesystem(target)[1])


def _write_tar(
    path: Path, header: ThawHeader, rows: list[ThawRow]
) -> tuple[list[ExampleVerdict], list[ShardEntry], int, str]:
    verdicts, entries = [], []
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for item in rows:
            verdict, rendered = _thaw(item, header)
            verdicts.append(verdict)
            if rendered is None:
                continue
            files, record, levels_db = rendered
            offset, n_bytes = writer.add(item.row.key, files)
            entries.append(
                ShardEntry(
                    key=item.row.key,
                    offset=offset,
                    bytes=n_bytes,
                    member_bytes={ext: len(data) for ext, data in files.items()},
                    levels_db=levels_db,
                    record=record,
                )
            )
        n_bytes, sha256 = writer.close()
    return verdicts, entries, n_bytes, sha256


def _thaw(item: ThawRow, header: ThawHeader) -> tuple[ExampleVerdict, Any]:
    """Return the verdict on one example, and its files where it is accepted."""
    row, matches = item.row, item.matches
    if any(match.state == MISSING for match in matches):
        return missing_verdict(row, matches), None
    if unusable := next(filter(None, (m.detail for m in matches)), "") or _too_short(item):
        return failed_verdict(row, matches, unusable), None
    roots: Roots = header.roots
    try:
        replayed = replay(row, matches, header.config, roots)
    except SourceChangedError:
        raise
    except (AudioError, ManifestError, ValueError) as error:
        return failed_verdict(row, matches, str(error)), None
    verdict = output_verdict(row, matches, item.sketches, replayed.pcms)
    if verdict.verdict not in ACCEPTS[header.accept]:
        return verdict, None
    record = replayed_example(row, replayed, matches, item.sources, header.config)
    files = member_files(replayed.pcms, record, header.config.codec)
    levels_db = {name: level_db(pcm) for name, pcm in replayed.pcms.items()}
    return verdict, (files, record, levels_db)


def _too_short(item: ThawRow) -> str:
    """Return which file ends before its span does, of those that were decoded; else empty."""
    n_samples = item.row.music.n_samples
    starts_s = (item.row.music.start_s, *(0.0 if n.looped else n.start_s for n in item.row.noises))
    needed = (n_samples, *(2 if n.looped else n_samples for n in item.row.noises))
    for match, start_s, length in zip(item.matches, starts_s, needed, strict=True):
        if not match.source_samples:
            continue
        end = round(start_s * SAMPLE_RATE) + length
        found = resampled_length(match.source_samples, match.source_rate)
        if found < end - 1:
            delay = end - found <= MAX_DELAY_S * SAMPLE_RATE
            why = "an MP3 with another gapless header is so" if delay else "it is cut short"
            return (
                f"{match.path}: expected at least {end / SAMPLE_RATE:.3f} s, "
                f"got {found / SAMPLE_RATE:.3f} s; {why}"
            )
    return ""
