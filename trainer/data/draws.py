"""Choose first, render later: what is heard of one example in one pass.

Crop positions, SNR and coin are hashes of (seed, pass, key): they depend on no other example, no
worker and no rank.
"""

from __future__ import annotations

from dataclasses import dataclass

from manifests.canonical import hash64
from manifests.errors import ManifestError
from manifests.keys import AUDIO, CLEAN, noisy_name
from trainer.data.index import ExampleRef
from trainer.data.part import Part
from trainer.data.reading import View
from trainer.data.rungs import SnrOver
from trainer.data.snr import draw_snr_db
from trainer.level import narrower_hz


@dataclass(frozen=True, slots=True)
class ExampleDraw:
    """What is heard of an example.

    Attributes:
        ref: the example.
        starts: first sample of each view's crop.
        noisy: whether each view is noisy.
        target_db: SNR of the noisy views; None where there is none or it is not known.
        noisy_from: members that a noisy view is made of: one that is stored as wanted, or the two
            that it is mixed from.
        clean_from: members that a clean view is made of.
        snrs_db: rungs of the set.
        limit_hz: upper edge that its members are limited to, Hz; None leaves them as they are.
    """

    ref: ExampleRef
    starts: tuple[int, ...]
    noisy: tuple[bool, ...]
    target_db: float | None
    noisy_from: tuple[str, ...]
    clean_from: tuple[str, ...]
    snrs_db: tuple[float, ...]
    limit_hz: float | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The members to read, each once."""
        return tuple(dict.fromkeys((*self.clean_from, *self.noisy_from)))


def draw_example(
    part: Part,
    ref: ExampleRef,
    *,
    seed: int,
    pass_number: int,
    crop_samples: int,
    snr_values: tuple[float, ...],
    snr_over: SnrOver,
) -> ExampleDraw:
    """Draw crops, coin and SNR of an example.

    Args:
        part: the part that the example belongs to.
        ref: the example.
        seed: seed of the run.
        pass_number: pass over the data, from 0.
        crop_samples: length of a crop.
        snr_values: SNRs to draw from, dB; empty where the part draws none.
        snr_over: whether the SNR is that of the whole clip, or that of the crop as heard.

    Raises:
        ManifestError: the example is shorter than a crop.
    """
    reading = part.reading
    places = ref.n_samples - crop_samples + 1
    if places < 1:
        raise ManifestError(
            f"{ref.shard_url}: {ref.key}: expected at least {crop_samples} samples, got "
            f"{ref.n_samples}; build the set with a larger --min-duration-s"
        )
    starts = tuple(
        hash64(seed, pass_number, ref.key, 0 if reading.same_crop else number, "crop") % places
        for number in range(len(reading.views))
    )
    heads = hash64(seed, pass_number, ref.key, "either") % 2 == 1
    noisy = tuple(
        view in (View.NOISY, View.RECORDING) or (view is View.EITHER and heads)
        for view in reading.views
    )
    target_db, noisy_from = None, tuple[str, ...]()
    if any(noisy):
        if snr_values:
            target_db = draw_snr_db(snr_values, seed, pass_number, ref.key)
        noisy_from = _noisy_from(part, target_db, snr_over)
    return ExampleDraw(
        ref=ref,
        starts=starts,
        noisy=noisy,
        target_db=target_db,
        noisy_from=noisy_from,
        clean_from=() if all(noisy) else (CLEAN,),
        snrs_db=part.snrs_db,
        limit_hz=narrower_hz(part.band_hz, ref.band_hz),
    )


def _noisy_from(part: Part, target_db: float | None, snr_over: SnrOver) -> tuple[str, ...]:
    if target_db is None:
        return (AUDIO,)
    if snr_over == "clip" and target_db in part.snrs_db:
        return (noisy_name(target_db),)
    lowest, highest = min(part.snrs_db), max(part.snrs_db)
    if part.reading.relevel == "clean":
        return (CLEAN, noisy_name(lowest))
    if lowest == highest:
        return (noisy_name(lowest),)
    return (noisy_name(highest), noisy_name(lowest))
