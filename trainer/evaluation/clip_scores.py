"""Score whole clips: sigmoids of all whole chunks, aggregated per member, clip by clip.

CLMR's protocol (``clmr/evaluation.py``, METHOD.md 2.5): consecutive chunks without overlap, the
tail that fills no chunk dropped (ten of SampleCNN's chunks of 2.678 s for 29.1 s), sigmoid per
chunk, mean of the *probabilities*, or another aggregate of them. The clip's embedding is the mean
of its chunks' embeddings in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError
from trainer.metrics import Labels

Waveform: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]
Embeddings: TypeAlias = NDArray[np.float32]

BATCH_CHUNKS: Final = 64
"""Chunks given to the model at once: bounds memory whatever the clips' lengths."""


class Predict(Protocol):
    """A trained model: chunks (n, 1, T) to tag probabilities (n, n_tags), embeddings (n, D)."""

    def __call__(self, chunks: Waveform) -> tuple[NDArray[np.float32], Embeddings]:
        """Return probabilities in [0, 1] and embeddings h of every chunk."""
        ...


class Aggregate(Protocol):
    """The scores of a clip, (n_tags,), from its chunks."""

    def __call__(self, probabilities: NDArray[np.float32], embeddings: Embeddings) -> Floats:
        """Aggregate the probabilities (n_chunks, n_tags) of chunks with embeddings (n_chunks, D).

        Raises:
            ManifestError: the model gives no probabilities of them.
        """
        ...


def mean_of_chunks(probabilities: NDArray[np.float32], embeddings: Embeddings) -> Floats:
    """Return the mean of the chunks' probabilities; their embeddings play no part."""
    del embeddings
    mean: Floats = probabilities.mean(axis=0, dtype=np.float64)
    return mean


@dataclass(frozen=True)
class Clip:
    """One example to score.

    Attributes:
        key: key of the example.
        cluster: what a bootstrap draws, see ``trainer.bootstrap.artist_clusters``.
        tags: tags it carries, of the set's vocabulary.
        chunks: its whole chunks by member, full scale = 1, (n_chunks, 1, T) each.
        snr_db: SNR that its perturbations with noise came to, dB, by name.
    """

    key: str
    cluster: str
    tags: tuple[str, ...]
    chunks: Mapping[str, Waveform]
    snr_db: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreTable:
    """Scores of all clips of a set, in the order they came.

    Attributes:
        keys: key of each clip.
        clusters: cluster of each clip.
        tags: vocabulary, the columns of labels and scores.
        labels: (n_clips, n_tags).
        scores: probabilities by member, (n_clips, n_tags) each.
    """

    keys: tuple[str, ...]
    clusters: tuple[str, ...]
    tags: tuple[str, ...]
    labels: Labels
    scores: dict[str, Floats]


@dataclass(frozen=True)
class ClipScores(ScoreTable):
    """A score table with the embeddings.

    Attributes:
        embeddings: mean h by member, (n_clips, D) each.
        snr_db: SNR that perturbations with noise came to, dB, by member, (n_clips,) each.
    """

    embeddings: dict[str, Embeddings]
    snr_db: dict[str, Floats] = field(default_factory=dict)


def score_clips(
    clips: Iterable[Clip],
    predict: Predict,
    *,
    tags: Sequence[str],
    members: Sequence[str],
    batch_chunks: int = BATCH_CHUNKS,
    aggregate: Aggregate = mean_of_chunks,
) -> ClipScores:
    """Score every clip of a set; audio is held for one batch only.

    Args:
        clips: the set's examples; read once, in order.
        predict: the model.
        tags: vocabulary of set and model.
        members: members to score, e.g. ``clean``, ``noisy.snr_0`` and ``drc:speech``, or ``audio``.
        batch_chunks: most chunks given to the model at once.
        aggregate: makes a clip's scores of its chunks'.

    Raises:
        ManifestError: no clip, a clip without one of the members, without a whole chunk, with a
            tag outside the vocabulary or a key that came before; or a model that returns other
            shapes, or values that are no probabilities.
    """
    column = {tag: index for index, tag in enumerate(tags)}
    seen: dict[str, str] = {}  # key -> cluster, in order
    labels: list[Labels] = []
    scores: dict[str, list[Floats]] = {member: [] for member in members}
    embeddings: dict[str, list[Embeddings]] = {member: [] for member in members}
    snrs_db: dict[str, list[float]] = {}
    pieces = _pieces(clips, column, seen, labels, snrs_db, members)
    for piece, own, h in _predicted(pieces, predict, len(tags), batch_chunks):
        scores[piece.member].append(aggregate(own, h))
        embeddings[piece.member].append(h.mean(axis=0, dtype=np.float64).astype(np.float32))
    if not seen:
        raise ManifestError("evaluation: expected at least one clip, got none; check the set")
    return ClipScores(
        keys=tuple(seen),
        clusters=tuple(seen.values()),
        tags=tuple(tags),
        labels=np.stack(labels),
        scores={member: np.stack(rows) for member, rows in scores.items()},
        embeddings={member: np.stack(rows) for member, rows in embeddings.items()},
        snr_db={member: np.array(found) for member, found in snrs_db.items()},
    )


@dataclass(frozen=True)
class _Piece:
    """All chunks of one member of one clip."""

    key: str
    member: str
    chunks: Waveform


def _pieces(
    clips: Iterable[Clip],
    column: Mapping[str, int],
    seen: dict[str, str],
    labels: list[Labels],
    snrs_db: dict[str, list[float]],
    members: Sequence[str],
) -> Iterator[_Piece]:
    for clip in clips:
        if clip.key in seen:
            raise ManifestError(f"{clip.key}: expected each key once, got it twice; check the set")
        unknown = [tag for tag in clip.tags if tag not in column]
        if unknown:
            raise ManifestError(
                f"{clip.key}: expected tags of the vocabulary, got {unknown}; the checkpoint was "
                "trained on other tags"
            )
        seen[clip.key] = clip.cluster
        row = np.zeros(len(column), dtype=np.bool_)
        row[[column[tag] for tag in clip.tags]] = True
        labels.append(row)
        for member, snr_db in clip.snr_db.items():
            snrs_db.setdefault(member, []).append(snr_db)
        for member in members:
            if not len(clip.chunks.get(member, ())):
                raise ManifestError(
                    f"{clip.key}: expected at least one chunk of {member}, got none; check the set "
                    "with prep verify"
                )
            yield _Piece(clip.key, member, clip.chunks[member])


def _predicted(
    pieces: Iterator[_Piece], predict: Predict, n_tags: int, batch_chunks: int
) -> Iterator[tuple[_Piece, NDArray[np.float32], Embeddings]]:
    """Yield every piece with the probabilities and embeddings of its chunks, in order."""
    batch: list[_Piece] = []
    n_chunks = 0
    for piece in pieces:
        if batch and n_chunks + len(piece.chunks) > batch_chunks:
            yield from _predict_batch(batch, predict, n_tags, batch_chunks)
            batch, n_chunks = [], 0
        batch.append(piece)
        n_chunks += len(piece.chunks)
    if batch:
        yield from _predict_batch(batch, predict, n_tags, batch_chunks)


def _predict_batch(
    batch: Sequence[_Piece], predict: Predict, n_tags: int, batch_chunks: int
) -> Iterator[tuple[_Piece, NDArray[np.float32], Embeddings]]:
    chunks = np.concatenate([piece.chunks for piece in batch])
    # One clip can be longer than a batch, hence the slices.
    slices = [
        predict(chunks[start : start + batch_chunks])
        for start in range(0, len(chunks), batch_chunks)
    ]
    probabilities = np.concatenate([np.asarray(p) for p, _ in slices])
    embeddings = np.concatenate([np.asarray(h) for _, h in slices])
    if probabilities.shape != (len(chunks), n_tags) or embeddings.shape[:1] != (len(chunks),):
        raise ManifestError(
            f"model: expected ({len(chunks)}, {n_tags}) probabilities and {len(chunks)} "
            f"embeddings, got {probabilities.shape} and {embeddings.shape}; the checkpoint has "
            "another tag vocabulary than the set"
        )
    start = 0
    for piece in batch:
        place = slice(start, start + len(piece.chunks))
        start = place.stop
        own, embedding = probabilities[place], embeddings[place]
        if not ((own >= 0) & (own <= 1)).all() or not np.isfinite(embedding).all():
            raise ManifestError(
                f"{piece.key}.{piece.member}: expected probabilities in [0, 1] and a finite "
                "embedding, got others; the checkpoint is broken"
            )
        yield piece, own, embedding
