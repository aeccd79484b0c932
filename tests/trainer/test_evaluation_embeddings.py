"""Samples of embeddings beside score files: the same clips for every run, hostile ones refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from score_cases import reordered, scores_of

from manifests.errors import ManifestError
from trainer.evaluation.embedding_sample import load_sample, sample_embeddings, write_sample


def test_embedding_sample_is_the_same_clips_for_every_run(tmp_path: Path) -> None:
    clips = scores_of()
    sample = sample_embeddings(clips, max_clips=7)
    turned = sample_embeddings(reordered(clips, list(range(59, -1, -1))), max_clips=7)
    url = str(tmp_path / "x.safetensors")
    write_sample(url, sample)
    found = load_sample(url).embeddings
    assert found.keys() == clips.embeddings.keys()
    for member, rows in found.items():
        assert rows.shape == (7, 8)
        np.testing.assert_array_equal(rows, sample.embeddings[member])
        np.testing.assert_array_equal(rows, turned.embeddings[member])


@pytest.mark.parametrize("kind", ["garbage", "nan", "ragged", "double", "large"])
def test_hostile_samples_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "x.safetensors")
    sample = sample_embeddings(scores_of(), 5)
    clean = sample.embeddings["clean"]
    changed = {
        "nan": clean * np.float32(np.nan),
        "ragged": clean[:3],
        "double": clean.astype(np.float64),
    }
    write_sample(url, replace(sample, embeddings=sample.embeddings | {"clean": clean}))
    message = "expected finite float32 members of one shape"
    if kind in changed:
        write_sample(url, replace(sample, embeddings=sample.embeddings | {"clean": changed[kind]}))
    elif kind == "garbage":
        Path(url).write_bytes(b"\xff" * 100)
        message = "expected safetensors"
    else:
        monkeypatch.setattr("trainer.evaluation.embedding_sample.MAX_BYTES", 10)
        message = "expected at most 10 bytes"
    with pytest.raises(ManifestError, match=message):
        load_sample(url)
