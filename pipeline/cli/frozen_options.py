"""Options of the commands about frozen sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pipeline.cli.options import check_scheduler, expanded, metadata
from pipeline.corpora import CORPORA
from pipeline.sources import Sources, parse_named

corpus_roots: Sequence[Any] = (
    click.option("--music", multiple=True, metavar="NAME=DIR", help="Your copy of a music corpus, folder or URL. Repeatable."),
    click.option("--noise", multiple=True, metavar="NAME=DIR", help="Your copy of a noise corpus, folder or URL. Repeatable."),
    metadata,
)  # fmt: skip


def frozen_roots(
    music: Sequence[str],
    noise: Sequence[str],
    metadata: Sequence[str],
    corpus_options: dict[str, Any] | None = None,
) -> Sources:
    """Return the corpora that were given; which are needed the recipe says.

    Raises:
        UsageError: a value is not NAME=DIR.
    """
    return Sources(
        music=parse_named(music, "--music"),
        noise=parse_named(noise, "--noise"),
        metadata=parse_named(metadata, "--metadata"),
        corpus_options=corpus_options or {},
    )


def given_corpus_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of corpora that were given, paths expanded."""
    names = {option.name for module in CORPORA.values() for option in module.OPTIONS}
    given = {n: values[n] for n in names if values.get(n) not in (None, ())}
    return given | {n: expanded(v) for n, v in given.items() if n.endswith(("_file", "_csv"))}


__all__ = ["check_scheduler", "corpus_roots", "frozen_roots", "given_corpus_options"]
