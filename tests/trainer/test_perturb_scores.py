"""Figures of perturbed clips, in score files too: changes are paired differences to clean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from score_cases import MEMBERS, METRIC, PERTURBED, SNRS_DB, scores_of, write_scores

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from trainer.evaluation.embedding_sample import sample_embeddings
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import load_score_file


def test_changes_are_paired_differences_to_clean() -> None:
    found = scores_of(members=MEMBERS)
    found.scores["drc:speech"] = found.scores["clean"].copy()
    figures = measure_set(found, SNRS_DB, METRIC, definitions=dict.fromkeys(PERTURBED, "x"))
    own = {member.member: member for member in figures.members}
    assert list(own) == list(MEMBERS)
    assert [change.member for change in figures.changes] == list(MEMBERS[1:])
    for change in figures.changes:
        after, before = own[change.member], own["clean"]
        for metric in ("auc", "ap"):
            figure, a, b = (getattr(part, metric) for part in (change, after, before))
            assert figure.value == pytest.approx(a.value - b.value, abs=1e-12)
            assert figure.low <= figure.value <= figure.high
    same = figures.changes[2]
    assert same.auc is not None and (same.auc.value, same.auc.low, same.auc.high) == (0, 0, 0)
    worse = figures.changes[1]
    assert worse.auc is not None and worse.auc.high is not None and worse.auc.high < 0, "-10 dB"
    plain = measure_set(scores_of(members=("clean", *SNRS_DB)), SNRS_DB, METRIC)
    assert figures.noisy_mean_auc == plain.noisy_mean_auc, "the ladder's mean is of noise alone"
    drc, noise = figures.perturbed
    assert drc.consistency is not None and drc.consistency.tag_change == 0 and drc.snr is None
    assert noise.snr is not None
    assert (noise.snr.mean_db, noise.snr.lowest_db, noise.snr.highest_db) == pytest.approx(
        (20.0, 10.0, 30.0)
    )


def test_score_files_hold_perturbations(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path), scores_of(members=MEMBERS))
    file, table = load_score_file(url)
    assert tuple(table.scores) == MEMBERS
    assert [item.member for item in file.figures.perturbed] == list(PERTURBED)
    frame = pd.read_parquet(f"{url}.parquet")
    assert (frame.member == "drc:speech").sum() == 60
    sample = sample_embeddings(scores_of(members=MEMBERS))
    assert list(sample.embeddings) == ["clean", *SNRS_DB], "the map is of clean and noisy clips"


def rename(record: dict[str, Any], member: str) -> None:
    record["figures"]["members"][3]["member"] = member
    record["figures"]["perturbed"][0]["member"] = member


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["figures"]["changes"][2]["auc"].update(value=0.5), "change of drc:speech auc"),
        (lambda f: f["figures"]["changes"][0].update(ap=None), "change of noisy.snr_10 ap"),
        (lambda f: f["figures"]["changes"][0].update(member="x"), "change of x auc: expected None"),
        (lambda f: f["figures"].update(perturbed=[]), r"perturbations \['drc:speech', 'white-no"),
        (lambda f: rename(f, "drc:loud\x1b[2J"), "as train evaluate names them, got 'drc:loud"),
        (lambda f: rename(f, "drc:speech,drc:speech"), "as train evaluate names them"),
        (lambda f: rename(f, "drc"), "expected members clean, noisy.snr_…, audio and perturb"),
        (lambda f: f["figures"]["members"][3].update(snr_db=3.0), "expected members clean"),
        (lambda f: f["figures"]["members"][1].update(snr_db=3.0), "expected members clean"),
        (lambda f: f["figures"]["perturbed"][0].update(definition="\x07"), "printable names"),
        (lambda f: f["figures"]["perturbed"][1].update(snr={}), "SnrFigures: expected fields"),
    ],
)
def test_edited_perturbations_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    url = write_scores(str(tmp_path), scores_of(members=MEMBERS))
    record = json.loads(Path(url).read_text())
    change(record)
    Path(url).write_text(canonical_json(record))
    with pytest.raises(ManifestError, match=message):
        load_score_file(url)
