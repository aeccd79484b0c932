"""What the cues mean, in sentences: which one gives the domain away, and what to do about it."""

from __future__ import annotations

from typing import Final

from pipeline.report.cue_auc import ALL_CUES, CueReport, CueTable
from pipeline.report.cues import BAND_HZ

TELLING: Final = 0.65
"""From here on a cue is worth a sentence; below lies what a few hundred chunks give by chance."""


def cue_advice(report: CueReport, band_hz: float | None) -> list[str]:
    """Return the findings, most important first; empty where nothing could be measured."""
    if report.stored is None or report.heard is None:
        return []
    lines = [_headline(report.stored, report.heard)]
    level = max(report.stored.best("level"), report.stored.best("peak"))
    if level >= TELLING:
        lines.append(
            f"As stored, level and peak tell up to {_auc(level)}: noisy members are louder. Train "
            "with `--input-level rms` (the default), which scales every input to −20 dBFS RMS; "
            "with `--input-level asis` a domain classifier can count on loudness instead of sound."
        )
    heard = report.heard
    if heard.best("peak") >= TELLING:
        lines.append(
            "After scaling, the peak is the crest factor, which tells up to "
            f"{_auc(heard.best('peak'))}: steady noise evens a mix out, sudden noise sticks out of "
            "it. No option takes that away; it is the score that a domain classifier has to beat "
            "before it has heard anything else."
        )
    if heard.best("silence") >= TELLING:
        lines.append(
            f"Silence tells up to {_auc(heard.best('silence'))}: noise fills the pauses of the "
            "music. Noise that pauses too, or music without long pauses, makes it weaker."
        )
    lines += _band_advice(heard, band_hz)
    return lines


def _headline(stored: CueTable, heard: CueTable) -> str:
    cue, snr, auc = heard.strongest()
    minus = snr.replace("-", "\u2212")
    first = f"Scaled to one level, the cue that tells most is {cue}: {_auc(auc)} at {minus} dB"
    if auc < TELLING:
        first = f"Scaled to one level, no cue alone tells much (at most {_auc(auc)}, {cue})"
    together = heard.best(ALL_CUES)
    before = stored.best(ALL_CUES)
    return f"{first}; all four together reach {_auc(together)}, and {_auc(before)} as stored."


def _band_advice(heard: CueTable, band_hz: float | None) -> list[str]:
    best = heard.best("band above 8 kHz")
    limited = band_hz is not None and band_hz <= BAND_HZ
    if best >= TELLING and limited:
        return [
            f"The band above {BAND_HZ / 1000:g} kHz tells up to {_auc(best)}, although the set "
            f"says that it ends at {band_hz:,.0f} Hz: `prep verify` shows what differs."
        ]
    if best >= TELLING:
        return [
            f"The band above {BAND_HZ / 1000:g} kHz tells up to {_auc(best)}: the music stops "
            "there and the noise does not, or the other way round. Build the set with "
            "`--band-limit auto`."
        ]
    if limited:
        return [
            f"The band above {BAND_HZ / 1000:g} kHz tells nothing: the set is limited to "
            f"{band_hz:,.0f} Hz."
        ]
    return []


def _auc(value: float) -> str:
    return f"AUC {value:.2f}"
