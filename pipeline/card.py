"""The README of a set: what it is, counts, tags, licences, how to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol, TypeAlias

from manifests.keys import format_snr
from manifests.shardset import SetIndex
from pipeline.corpora import corpus
from pipeline.leaks import LEAK
from pipeline.markdown import escaped, table
from pipeline.planned import Plan

LicenceUse: TypeAlias = tuple[str, str, str]
"""Role, corpus and licence."""


class LicensedRow(Protocol):
    """The fields of an ``examples.parquet`` row that the card counts."""

    @property
    def corpus(self) -> str: ...  # noqa: D102
    @property
    def licence(self) -> str: ...  # noqa: D102
    @property
    def noise_corpora(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def noise_licences(self) -> tuple[str, ...]: ...  # noqa: D102


def licence_uses(row: LicensedRow) -> Iterator[LicenceUse]:
    """Iterate over what an example uses; an empty licence counts as ``unknown``."""
    yield "music", row.corpus, row.licence or "unknown"
    for name, licence in zip(row.noise_corpora, row.noise_licences, strict=True):
        yield "noise", name, licence or "unknown"


def readme(plan: Plan, index: SetIndex, uses: Mapping[LicenceUse, int]) -> str:
    """Return the card as Markdown; no time, host or path in it.

    Args:
        plan: what was built.
        index: index of the set.
        uses: examples by what they use, see ``licence_uses``.
    """
    return "\n".join(
        [
            f"# {index.name}",
            "",
            *_what(plan, index),
            "",
            "## Counts",
            "",
            *table(("what", "count"), [(k, f"{v:,.10g}") for k, v in index.counts.items()]),
            "",
            *_tags(plan, index),
            *_rejects(plan),
            *_leaks(plan),
            "## Licences",
            "",
            *table(
                ("role", "corpus", "licence", "uses"),
                [(*use, str(n)) for use, n in sorted(uses.items())],
            ),
            "",
            "This is not legal advice. Whoever passes audio on needs the right to do so for every "
            "source in the table; `unknown` means that no such right is known.",
            "",
            *_citations(plan),
            "## Reading",
            "",
            "```python",
            "import webdataset as wds",
            f'dataset = wds.WebDataset("{index.shards[0].file}", shardshuffle=False)',
            "```",
            "",
            "Every example holds the same members: "
            + ", ".join(f"`KEY.{name}.{index.codec}`" for name in plan.config.members)
            + " and `KEY.json` (sources, spans, gains, achieved SNR, hashes).",
            "",
            "`sha256sum -c manifest-sha256.txt` checks the files, `prep verify` every sample.",
            "",
        ]
    )


def _citations(plan: Plan) -> list[str]:
    entries = [corpus(name).CITATION.strip() for name in sorted(plan.licences)]
    shown = [f"```\n{entry}\n```\n" for entry in entries if entry]
    return ["## Citation", "", *shown] if shown else []


def _what(plan: Plan, index: SetIndex) -> list[str]:
    config = plan.config
    music = " + ".join(config.music)
    if not config.noise:
        return [f"Recordings of {music} (split {config.split}), 22,050 Hz mono, as they are."]
    snrs = ", ".join(format_snr(s) for s in index.snrs_db)
    return [
        f"Music of {music} (split {config.split}), clean and under noise of "
        f"{' + '.join(config.noise)} at {snrs} dB, {config.noises} noise(s) a mix, 22,050 Hz mono.",
        "",
        "SNR = total power of the music over total power of the summed noise, over exactly the "
        "excerpt"
        + (f", both below {plan.band_hz:,.0f} Hz." if plan.band_hz else ", full band.")
        + " The same noise stands at every SNR of an example; one common gain keeps clean and "
        "noisy in proportion.",
    ]


def _tags(plan: Plan, index: SetIndex) -> list[str]:
    if not index.tags:
        return []
    used = Counter(tag for row in plan.rows for tag in row.tags)
    rows = [(tag, str(used[tag])) for tag in index.tags]
    return ["## Tags", "", *table(("tag", "examples"), rows), ""]


def _rejects(plan: Plan) -> list[str]:
    if not plan.rejects:
        return []
    reasons = Counter((r.corpus, r.reason) for r in plan.rejects)
    rows = [(name, reason, str(n)) for (name, reason), n in sorted(reasons.items())]
    return ["## Rejects", "", *table(("corpus", "reason", "files"), rows), ""]


def _leaks(plan: Plan) -> list[str]:
    """Return what the splits of the corpora share, counted, a few by name; empty for nothing."""
    found = [note.removeprefix(LEAK) for note in plan.notes if note.startswith(LEAK)]
    if not found:
        return []
    return [
        "## Leaks",
        "",
        "What splits of the corpora share, whether or not it is in this set. A tagger that was "
        "trained on the one is not tested fairly on the other; `--forbid-leaks` stops instead.",
        "",
        *(f"* {escaped(line)}" for line in found),
        "",
    ]
