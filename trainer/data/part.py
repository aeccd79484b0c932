"""A part of a loader's data: some examples of one set, and how they are read.

A loader concatenates parts: the two halves of stage 1, or the target half and extra target sets.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from manifests.errors import UsageError
from manifests.shardset import ShardSet
from trainer.data.index import ExampleRef, load_refs, restrict, without_tags
from trainer.data.reading import Reading, View
from trainer.data.rungs import SnrOver
from trainer.data.snr import SnrDraw, SnrRange
from trainer.level import narrower_hz

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """Examples with one way of reading.

    Attributes:
        name: for messages and logs, e.g. ``train/source``.
        refs: the examples; their members and tags are cut down to what the reading may open.
        reading: what is read of each.
        snrs_db: rungs of the set; empty for real recordings.
        vocabulary: the set's tags in order; empty where tags are not read.
        band_hz: upper edge that examples of a wider band are limited to, Hz; None leaves all as
            they are.
    """

    name: str
    refs: tuple[ExampleRef, ...]
    reading: Reading
    snrs_db: tuple[float, ...]
    vocabulary: tuple[str, ...]
    band_hz: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the limit takes something away from any example."""
        return any(narrower_hz(self.band_hz, ref.band_hz) for ref in self.refs)

    @property
    def heard_hz(self) -> float | None:
        """Upper edge of the band that is heard of all examples, Hz; None where it is full."""
        edges = {narrower_hz(self.band_hz, ref.band_hz) or ref.band_hz for ref in self.refs}
        return None if None in edges else max(filter(None, edges), default=None)

    @property
    def draws_snr(self) -> bool:
        """Whether examples are heard at a drawn SNR."""
        return View.NOISY in self.reading.views or View.EITHER in self.reading.views

    def snr_values(self, snr: SnrRange, draw: SnrDraw) -> tuple[float, ...]:
        """Return the SNRs of a step, lowest first; empty where the part draws none.

        Raises:
            UsageError: one of them cannot be made of the members that may be opened.
        """
        if not self.draws_snr:
            return ()
        values = snr.values(draw, self.snrs_db)
        lowest, highest = min(self.snrs_db), max(self.snrs_db)
        top = highest if self.reading.relevel == "rungs" else values[-1]
        outside = [value for value in values if not lowest <= value <= top]
        if len(self.snrs_db) == 1 and self.reading.relevel == "rungs":
            outside = [value for value in values if value != lowest]
        if outside:
            raise UsageError(self._cannot_mix(outside))
        return values

    def check_snr_over(self, snr_over: SnrOver) -> None:
        """Check that the SNR can be set over what is asked for.

        Raises:
            UsageError: over the crop, where a single rung leaves nothing to level with.
        """
        one_rung = self.reading.relevel == "rungs" and len(self.snrs_db) == 1
        if snr_over == "crop" and self.draws_snr and one_rung:
            raise UsageError(
                f"{self.name}: cannot set the SNR over the crop with one stored rung and no clean "
                "member; set it over the clip (--snr-over clip), or allow the clean member as an "
                "ingredient (--snr-relevel clean)"
            )

    def _cannot_mix(self, outside: Sequence[float]) -> str:
        wanted = ", ".join(f"{value:g}" for value in outside)
        stored = ", ".join(f"{value:g}" for value in self.snrs_db)
        message = f"{self.name}: cannot hear {wanted} dB: the set stores {stored} dB"
        if self.reading.relevel == "rungs":
            return (
                f"{message}, and without the clean member only SNRs between two stored ones can "
                "be mixed; narrow the range (--snr-low-db, --snr-high-db), draw stored SNRs only "
                "(--snr-draw stored), store more rungs, or allow the clean member as an "
                "ingredient (--snr-relevel clean)"
            )
        return (
            f"{message}, and below the lowest rounding noise would be raised; narrow the range "
            "(--snr-low-db)"
        )


def make_part(
    shard_set: ShardSet,
    reading: Reading,
    *,
    domain: str | None = None,
    name: str | None = None,
    band_hz: float | None = None,
) -> Part:
    """Load the references of a set, or of one half of it, for one way of reading.

    Args:
        shard_set: a finished set.
        reading: what is read of each example.
        domain: ``source`` or ``target``; None takes every example.
        name: for messages; the set's own and the half where None.
        band_hz: upper edge that examples of a wider band are limited to, Hz.

    Raises:
        ManifestError: the set on disk is not what its index says.
        UsageError: the set has no such half, or the reading does not fit it.
    """
    if not shard_set.index.snrs_db and View.RECORDING not in reading.views:
        raise UsageError(
            f"{shard_set.url}: expected clean and noisy members, got real recordings "
            "(--noise none); only extra-target, --unlabelled-shards and evaluate take those"
        )
    own = f"{shard_set.index.name}/{domain}" if domain else shard_set.index.name
    members = reading.members(shard_set.index.snrs_db)
    refs = restrict(load_refs(shard_set, domain=domain), members)
    part = Part(
        name=name or own,
        refs=refs if reading.tags else without_tags(refs),
        reading=reading,
        snrs_db=shard_set.index.snrs_db,
        vocabulary=shard_set.index.tags if reading.tags else (),
        band_hz=band_hz,
    )
    if part.is_limited:
        logger.info("%s: limited to %g Hz, the band of the training set", part.name, band_hz)
    return part


def limit_part(part: Part, keys: frozenset[str]) -> Part:
    """Return the part with the examples of the keys alone, e.g. for a small trial.

    Raises:
        UsageError: a key is not in the part.
    """
    missing = sorted(keys - {ref.key for ref in part.refs})
    if missing:
        raise UsageError(f"{part.name}: expected keys of the part, got {missing[0]} and others")
    return replace(part, refs=tuple(ref for ref in part.refs if ref.key in keys))


def check_parts(parts: Sequence[Part]) -> None:
    """Check that parts fit into one batch.

    Raises:
        UsageError: there is none, or they differ in views, in vocabulary, or in reading tags.
    """
    if not parts:
        raise UsageError("loader: expected at least one part, got none")
    first = parts[0]
    for part in parts[1:]:
        if len(part.reading.views) != len(first.reading.views):
            raise UsageError(
                f"{part.name}: expected {len(first.reading.views)} views an example as in "
                f"{first.name}, got {len(part.reading.views)}"
            )
        if part.reading.tags != first.reading.tags or part.vocabulary != first.vocabulary:
            differing = sorted(set(part.vocabulary) ^ set(first.vocabulary))[:5]
            raise UsageError(
                f"{part.name}: expected the tags of {first.name} in the same order, differing: "
                f"{differing or 'the order'}; build both sets with one tags.json"
            )
