"""What a table must say beside its figures where runs were heard or perturbed unlike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trainer.evaluation.figures import SnrFigures, split_limit
from trainer.evaluation.score_file import ScoreFile


def perturbation_notes(set_name: str, rows: Mapping[str, Sequence[ScoreFile]]) -> Iterator[str]:
    """Yield a line per row that lacks a perturbation, and one per SNR that noise came to.

    Args:
        set_name: name of the set in the table.
        rows: score files on it of each row's runs; a row may have none.
    """
    files = [file for own in rows.values() for file in own]
    names = list(dict.fromkeys(name for file in files for name in _perturbations(file)))
    for row, own in rows.items():
        if not own:
            continue
        n_scored = {name: sum(name in _perturbations(file) for file in own) for name in names}
        partly = [name for name, n in n_scored.items() if 0 < n < len(own)]
        never = [name for name, n in n_scored.items() if not n]
        if partly:
            yield (
                f"{set_name}: {row}: {', '.join(partly)} left out, for not all {len(own)} seeds "
                "were scored on it; evaluate the others with --perturb too"
            )
        if never:
            what = "no perturbation" if never == names else f"no {', '.join(never)}"
            yield f"{set_name}: {row}: {what} scored; evaluate it with --perturb too"
    for name in names:
        for snr in _snrs(files, name):
            yield (
                f"{set_name}: {name} is {snr.mean_db:.1f} dB SNR on average, clips have "
                f"{snr.lowest_db:.1f} to {snr.highest_db:.1f} dB"
            )


def band_notes(set_name: str, rows: Mapping[str, Sequence[ScoreFile]]) -> Iterator[str]:
    """Yield a line per row that heard less of a set than its band; one for all that heard alike.

    Args:
        set_name: name of the set in the table.
        rows: score files on it of each row's runs; a row may have none.
    """
    limits = {
        row: [split_limit(file.metric.clip_score)[1] for file in own] for row, own in rows.items()
    }
    found = {limit for own in limits.values() for limit in own}
    if len(found) == 1:
        yield from (
            f"{set_name}: heard up to {hz} Hz, the band of the training sets" for hz in found if hz
        )
        return
    for row, own in limits.items():
        for hz in dict.fromkeys(filter(None, own)):
            said = f"{set_name}: {row}: heard up to {hz} Hz, the band of its training set"
            rest = f", in {own.count(hz)} of {len(own)} seeds; evaluate the others again"
            yield said if own.count(hz) == len(own) else said + rest


def _perturbations(file: ScoreFile) -> list[str]:
    return [item.member for item in file.figures.perturbed]


def _snrs(files: Sequence[ScoreFile], name: str) -> list[SnrFigures]:
    """Return the SNR that a perturbation came to: one, for the noise depends on the clips alone."""
    found = [item.snr for file in files for item in file.figures.perturbed if item.member == name]
    return [snr for snr in found if snr is not None][:1]
