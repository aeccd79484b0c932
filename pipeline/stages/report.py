"""Report: a set as one page that people look at, and its figures."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.errors import UsageError
from pipeline.engine import run_tasks
from pipeline.progress import Reporter, SilentReporter
from pipeline.report.contents import SetContents, load_contents
from pipeline.report.cue_auc import CueReport, cue_report
from pipeline.report.cues import ChunkCues, measure_examples
from pipeline.report.figures import SetFigures, set_figures
from pipeline.report.gallery import gallery
from pipeline.report.page import render_page
from pipeline.report.sample import draw, draw_songs, place

TASK_EXAMPLES: Final = 8
PAGE_SUFFIXES: Final = (".html", ".htm")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """A set's figures, and the page that shows them.

    Attributes:
        figures: all numbers.
        page: path or URL of the page; None where none was asked for.
        page_bytes: its size.
    """

    figures: SetFigures
    page: str | None
    page_bytes: int


def default_page(name: str) -> str:
    """Return the page's file name for a set: its name as far as it is legal in file names."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".-")[:100] or "set") + "-report.html"


def report_set(
    url: str,
    *,
    write_page: bool = True,
    out: str | None = None,
    n_examples: int = 6,
    n_sample: int = 200,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Report:
    """Measure a set and write its page; the set itself is only read.

    Args:
        url: path or URL of the set.
        write_page: make the page, not the figures alone.
        out: path or URL of the page; None writes ``NAME-report.html`` into the current folder.
        n_examples: examples to see and hear.
        n_sample: examples that are decoded for the cues.
        jobs: worker processes.
        reporter: shows progress.

    Raises:
        ManifestError: no finished set, or a file of it is not what its index says.
        UsageError: ``out`` does not end in ``.html``.
    """
    if out is not None and not out.lower().endswith(PAGE_SUFFIXES):
        raise UsageError(f"-o {out}: expected a name that ends in .html; nothing else is written")
    reporter = reporter or SilentReporter()
    contents = load_contents(url)
    figures = set_figures(contents, _measure_cues(contents, n_sample, jobs, reporter))
    if not write_page:
        return Report(figures, None, 0)
    rows = draw_songs(contents.rows, n_examples, "gallery")
    shown = []
    with reporter.track(f"gallery {contents.index.name}", len(rows), "examples") as advance:
        for example in gallery(url, contents.index, rows):
            shown.append(example)
            advance(1)
    page = render_page(contents, figures, shown).encode()
    target = out or default_page(contents.index.name)
    store.write_bytes(target, page)
    logger.info("%s: %d bytes", target, len(page))
    return Report(figures, target, len(page))


def _measure_cues(contents: SetContents, n_sample: int, jobs: int, reporter: Reporter) -> CueReport:
    if not contents.has_noise:
        return CueReport("the set holds recordings as they are, and no pairs of clean and noisy")
    rows = draw(contents.rows, n_sample, "cues")
    places = [place(row, contents.index) for row in rows]
    tasks = [
        (contents.url, places[i : i + TASK_EXAMPLES]) for i in range(0, len(rows), TASK_EXAMPLES)
    ]
    cues: list[ChunkCues] = []
    with reporter.track(f"report {contents.index.name}", len(rows), "examples") as advance:
        for measured, n_done in run_tasks(measure_examples, tasks, jobs=jobs):
            cues += measured
            advance(n_done)
    # Workers finish in any order; folds and sums must not depend on it.
    return cue_report(sorted(cues, key=_order), len(rows))


def _order(chunk: ChunkCues) -> tuple[str, float, tuple[float, ...], tuple[float, ...]]:
    target_db = float("inf") if chunk.target_db is None else chunk.target_db
    return chunk.song, target_db, chunk.stored, chunk.heard
