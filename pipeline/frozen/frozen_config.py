"""What thawing needs of a set's identity config, picked out and checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from manifests.audio import DECODERS
from manifests.errors import ManifestError
from manifests.keys import member_names
from manifests.member_audio import CODECS
from manifests.reading import TRANSITION_HZ, ReadOptions
from manifests.records import row_builder
from manifests.resample import RESAMPLERS
from manifests.rows import SAMPLE_RATE, SPLITS
from pipeline.frozen.rows import MAX_NOISES

MAX_SNRS: Final = 128


@dataclass(frozen=True)
class FrozenConfig:
    """What thawing needs of a set's identity config; the rest of it is carried unread."""

    name: str
    split: str
    noise: tuple[str, ...]
    snrs_db: tuple[float, ...]
    noises: int
    codec: str
    decoder: str
    resampler: str
    keep_dc: bool
    band_hz: float | None

    @property
    def n_noises(self) -> int:
        """Noises of each example; 0 for real recordings."""
        return self.noises if self.noise else 0

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the audio members of every example, in order."""
        return member_names(self.snrs_db, bool(self.noise))

    @property
    def read(self) -> ReadOptions:
        """How sources become signals."""
        return ReadOptions(self.decoder, self.resampler, self.band_hz, self.keep_dc)


def frozen_config(config: dict[str, Any], name: str) -> FrozenConfig:
    """Pick out and check what thawing needs of an identity config.

    Raises:
        ManifestError: a field is missing, of another type, or has no legal value.
    """
    wanted = [field.name for field in fields(FrozenConfig)]
    if missing := [field for field in wanted if field not in config]:
        raise ManifestError(f"{name}: config: expected {', '.join(missing)}, found none")
    picked = row_builder(FrozenConfig)({field: config[field] for field in wanted})
    splits = (*SPLITS, "all")
    checks = (
        (picked.split in splits, "split", ", ".join(splits), picked.split),
        (picked.codec in CODECS, "codec", ", ".join(CODECS), picked.codec),
        (picked.decoder in DECODERS, "decoder", ", ".join(DECODERS), picked.decoder),
        (picked.resampler in RESAMPLERS, "resampler", ", ".join(RESAMPLERS), picked.resampler),
        (0 <= picked.noises <= MAX_NOISES, "noises", f"at most {MAX_NOISES}", picked.noises),
        (len(picked.snrs_db) <= MAX_SNRS, "snrs_db", f"{MAX_SNRS} values", len(picked.snrs_db)),
        (
            all(abs(s) <= 60 and round(s, 2) == s for s in picked.snrs_db),
            "snrs_db",
            "±60 dB, two decimals",
            picked.snrs_db,
        ),
        (len(set(picked.members)) == len(picked.members), "snrs_db", "different values", "equal"),
        (
            picked.band_hz is None or TRANSITION_HZ < picked.band_hz <= SAMPLE_RATE / 2,
            "band_hz",
            f"{TRANSITION_HZ:g} to {SAMPLE_RATE // 2} Hz",
            picked.band_hz,
        ),
    )
    for legal, field, expected, found in checks:
        if not legal:
            raise ManifestError(f"{name}: config: {field}: expected {expected}, got {found!r:.80}")
    return picked
