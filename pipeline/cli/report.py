"""``prep report``: a set as one page."""

from __future__ import annotations

from dataclasses import asdict

import click

from manifests.canonical import pretty_json
from pipeline.cli.options import as_json, cores
from pipeline.cli.text import human_bytes
from pipeline.cli.visible import visible
from pipeline.progress import reporter
from pipeline.stages.report import report_set


@click.command("report")
@click.argument("url", metavar="SET")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="Page to write, path or fsspec URL ending in .html.  [default: ./NAME-report.html]",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 20),
    default=6,
    show_default=True,
    help="Examples to see and hear, drawn by hash.",
)
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Examples that are decoded for the cues, drawn by hash.",
)
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: cores]")
@as_json
def report_command(
    url: str, out: str | None, examples: int, sample: int, jobs: int | None, as_json: bool
) -> None:
    """Write one self-contained HTML page about a set, for people.

    SNR errors, chunk SNRs, levels, tags, rejects, licences, examples with spectrograms and players,
    and how well level, peak, silence and the band above 8 kHz alone tell clean from noisy. --json
    prints the figures instead, and writes the page only with -o.
    """
    report = report_set(
        url,
        write_page=not as_json or out is not None,
        out=out,
        n_examples=examples,
        n_sample=sample,
        jobs=jobs or cores(),
        reporter=reporter(quiet=as_json),
    )
    if as_json:
        click.echo(pretty_json({**asdict(report.figures), "page": report.page}), nl=False)
        return
    for check in report.figures.checks:
        click.echo(visible(f"{check.title}: {check.value} ({check.note})"))
    click.echo(f"{visible(str(report.page))}: {human_bytes(report.page_bytes)}")
