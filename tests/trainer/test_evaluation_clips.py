"""Clip scores: all whole chunks, mean of sigmoids, bounded memory, nothing skipped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from manifests.errors import ManifestError
from trainer.evaluation.clip_scores import Clip, score_clips

TAGS = ("a", "b")
T = 4


def clip(key: str, n_chunks: int = 3, tags: tuple[str, ...] = ("a",), level: float = 0.0) -> Clip:
    """A clip whose chunk number c holds level + c / 10 in every sample."""
    ramp = level + np.arange(n_chunks)[:, None, None] / 10
    clean = np.broadcast_to(ramp, (n_chunks, 1, T)).astype(np.float32)
    return Clip(key, f"artist of {key}", tags, {"clean": clean, "noisy.snr_0": clean + 0.5})


def predict(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (x, 1 - x) and embedding (x, x², 1) of a chunk filled with x."""
    x = chunks.mean(axis=(1, 2))
    return np.stack([x, 1 - x], axis=1), np.stack([x, x**2, np.ones_like(x)], axis=1)


def test_a_clip_scores_the_mean_over_its_chunks() -> None:
    found = score_clips([clip("x"), clip("y", tags=())], predict, tags=TAGS, members=["clean"])
    assert found.keys == ("x", "y")
    assert found.clusters == ("artist of x", "artist of y")
    np.testing.assert_array_equal(found.labels, [[True, False], [False, False]])
    np.testing.assert_allclose(found.scores["clean"][0], [0.1, 0.9], atol=1e-7)
    # the mean of the squares 0, 0.01, 0.04, not the square of the mean
    np.testing.assert_allclose(found.embeddings["clean"][0], [0.1, 0.05 / 3, 1.0], atol=1e-7)
    assert found.scores.keys() == {"clean"}


def test_every_member_is_scored_by_itself() -> None:
    found = score_clips([clip("x")], predict, tags=TAGS, members=["clean", "noisy.snr_0"])
    np.testing.assert_allclose(found.scores["noisy.snr_0"][0], [0.6, 0.4], atol=1e-7)


@pytest.mark.parametrize("batch_chunks", [1, 2, 5, 6, 7, 64])
def test_scores_do_not_depend_on_the_batch(batch_chunks: int) -> None:
    clips = [clip("x", 3), clip("y", 5, level=0.02), clip("z", 1)]
    sizes = []

    def counted(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(chunks))
        return predict(chunks)

    members = ["clean", "noisy.snr_0"]
    found = score_clips(clips, counted, tags=TAGS, members=members, batch_chunks=batch_chunks)
    whole = score_clips(clips, predict, tags=TAGS, members=members)
    for member in members:
        np.testing.assert_allclose(found.scores[member], whole.scores[member], rtol=0, atol=1e-12)
    assert max(sizes) <= batch_chunks
    assert sum(sizes) == 2 * 9


def test_clips_are_read_as_they_are_scored() -> None:
    """Memory is bounded: when a batch is scored, only its clips have been read."""
    n_read = 0
    read_by_then = list[int]()

    def clips() -> Iterator[Clip]:
        nonlocal n_read
        for number in range(20):
            n_read += 1
            yield clip(f"k{number}", 2)

    def watched(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        read_by_then.append(n_read)
        return predict(chunks)

    score_clips(clips(), watched, tags=TAGS, members=["clean"], batch_chunks=4)
    # 2 clips fill a batch; the third is read to find that out
    assert read_by_then == [3, 5, 7, 9, 11, 13, 15, 17, 19, 20]


def broken(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, embeddings = predict(chunks)
    return np.full_like(probabilities, np.nan), embeddings


def too_large(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, embeddings = predict(chunks)
    return probabilities + 1, embeddings


def infinite(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, embeddings = predict(chunks)
    return probabilities, embeddings + np.inf


def other_vocabulary(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, embeddings = predict(chunks)
    return probabilities[:, :1], embeddings


@pytest.mark.parametrize(
    ("clips", "model", "message"),
    [
        ([], predict, "expected at least one clip"),
        ([clip("x"), clip("x")], predict, "x: expected each key once"),
        ([clip("x", tags=("a", "kazoo"))], predict, r"x: .*vocabulary, got \['kazoo'\]"),
        ([clip("x", n_chunks=0)], predict, "x: expected at least one chunk of clean"),
        ([Clip("x", "a", (), {})], predict, "x: expected at least one chunk of clean"),
        ([clip("x")], broken, r"x\.clean: expected probabilities in \[0, 1\]"),
        ([clip("x")], too_large, r"x\.clean: expected probabilities in \[0, 1\]"),
        ([clip("x")], infinite, r"x\.clean: .*a finite embedding"),
        ([clip("x")], other_vocabulary, r"\(3, 2\) probabilities.*got \(3, 1\)"),
    ],
)
def test_what_cannot_be_scored_is_refused(clips: list[Clip], model: object, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        score_clips(clips, model, tags=TAGS, members=["clean"])  # type: ignore[arg-type]
