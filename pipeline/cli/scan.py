"""``prep scan``: what a corpus folder holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from manifests.canonical import pretty_json
from manifests.errors import UsageError
from manifests.rows import Clip, Reject
from manifests.tables import write_table
from pipeline.cli.frozen_options import given_corpus_options
from pipeline.cli.options import (
    apply,
    as_json,
    check_scheduler,
    config_file,
    cores,
    decoder,
    metadata,
    not_shared,
    run_options,
)
from pipeline.cli.set_options import corpus_options
from pipeline.cli.text import counted
from pipeline.cli.visible import visible
from pipeline.corpora import CORPORA
from pipeline.progress import reporter
from pipeline.sources import absolute_url, check_options_serve, parse_named
from pipeline.stages.scan import Scan, ScanOptions, scan


@click.command("scan")
@click.option("--corpus", required=True, metavar="NAME", help=f"One of {', '.join(CORPORA)}.")
@click.option("--root", required=True, metavar="DIR", help="Folder or fsspec URL of the corpus.")
@metadata
@click.option("--no-audio", is_flag=True, help="Read the metadata only; no file is opened.")
@click.option("-o", "--output", metavar="TABLE", help="Write the clips (.parquet or .csv).")
@decoder
@apply(corpus_options)
@apply(run_options)
@config_file
@as_json
def scan_command(
    corpus: str,
    root: str,
    metadata: tuple[str, ...],
    no_audio: bool,
    output: str | None,
    decoder: str,
    as_json: bool,
    **values: Any,
) -> None:
    """List a corpus from its official layout and decode every file once.

    With -o TABLE.parquet the rejects go to TABLE.rejects.parquet. What was decoded is remembered
    by path, size and time, so a second scan only reads new files.
    """
    check_scheduler(values["engine"], values["scheduler"])
    tables = _table_names(output)
    options = ScanOptions(
        with_audio=not no_audio,
        decoder=decoder,
        jobs=values.pop("jobs") or cores(),
        engine=values.pop("engine"),
        scheduler=values.pop("scheduler"),
    )
    given = given_corpus_options(values)
    check_options_serve(not_shared(given), (corpus,))
    folders = parse_named(metadata, "--metadata")
    others = [name for name in folders if name != corpus]
    if others and not_shared(["metadata"]):
        raise UsageError(f"--metadata {others[0]}: expected {corpus}, the corpus that is scanned")
    found = scan(
        corpus,
        root,
        metadata=folders.get(corpus),
        corpus_options=given,
        options=options,
        reporter=reporter(quiet=as_json),
    )
    if tables:
        write_table(tables[0], found.clips, Clip)
        write_table(tables[1], found.rejects, Reject)
    if as_json:
        click.echo(pretty_json(scan_record(found)), nl=False)
    else:
        click.echo("\n".join(scan_lines(found)))


def _table_names(output: str | None) -> tuple[str, str] | None:
    """Return the names of the tables of clips and of rejects; refused before hours of scanning."""
    if output is None:
        return None
    stem, dot, suffix = absolute_url(output).rpartition(".")
    if not dot or suffix not in ("parquet", "csv"):
        raise UsageError(f"-o {output}: expected a name that ends in .parquet or .csv")
    return f"{stem}.{suffix}", f"{stem}.rejects.{suffix}"


def scan_record(found: Scan) -> dict[str, Any]:
    """Return a scan's figures as plain values."""
    return {
        "corpus": found.corpus,
        "clips": len(found.clips),
        "hours": round(sum(clip.duration_s for clip in found.clips) / 3600, 2),
        "splits": dict(Counter(clip.split for clip in found.clips)),
        "tags": len({tag for clip in found.clips for tag in clip.tags}),
        "songs": len({clip.song for clip in found.clips}),
        "artists": len({clip.artist for clip in found.clips if clip.artist}),
        "licences": dict(Counter(clip.licence or "unknown" for clip in found.clips)),
        "rates_hz": dict(Counter(str(clip.source_rate) for clip in found.clips)),
        "rejects": dict(Counter(reject.reason for reject in found.rejects)),
        "rejected": [
            {"path": r.path, "reason": r.reason, "detail": r.detail} for r in found.rejects
        ],
        "notes": list(found.notes),
    }


def scan_lines(found: Scan) -> list[str]:
    """Return a scan for people."""
    record = scan_record(found)
    lines = [
        f"{found.corpus}: {record['clips']:,} clips, {record['hours']:,.2f} h, "
        f"{record['songs']:,} songs, {record['artists']:,} artists, {record['tags']:,} tags",
        f"  splits: {counted(record['splits'])}",
        f"  rejects: {counted(record['rejects'])}",
    ]
    first: dict[str, str] = {}
    for reject in found.rejects:
        first.setdefault(reject.reason, reject.detail)
    lines += [f"    {reason}: {visible(detail)}" for reason, detail in first.items()]
    return lines + [f"  {visible(note)}" for note in found.notes]
