"""Agreement of noisy clips with their clean twins, and the fresh domain classifier."""

from __future__ import annotations

import numpy as np
import pytest

from manifests.errors import ManifestError
from trainer.evaluation.consistency import consistency
from trainer.evaluation.domain_probe import domain_probe_auc


def test_hand_computed_case() -> None:
    clean = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], dtype=np.float32)
    noisy = np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    change = np.array([[0.1, 0.3], [0.0, 0.0], [0.0, 0.2]])
    found = consistency(clean, noisy, np.full((3, 2), 0.5), 0.5 + change * [1, -1])
    # cosines of twins: 1, 0, 1/√2; of the other six pairs: 1 0 | 0 1 | 1/√2 1/√2
    root = np.sqrt(0.5)
    assert found.cosine_twin == pytest.approx((1 + 0 + root) / 3)
    assert found.cosine_random == pytest.approx((1 + 0 + 0 + 1 + 2 * root) / 6)
    assert found.cosine_margin == pytest.approx(found.cosine_twin - found.cosine_random)
    # noisy 0 finds clean 0; noisy 1 = (1, 0) finds clean 0; noisy 2 = (0, 1) finds clean 1
    assert found.retrieval_at_1 == pytest.approx(1 / 3)
    assert found.retrieval_chance == pytest.approx(1 / 3)
    assert found.tag_change == pytest.approx(0.6 / 6)


def test_against_a_plain_double_loop(rng: np.random.Generator) -> None:
    clean = rng.normal(size=(600, 5)).astype(np.float32)  # more rows than a block
    noisy = (clean + rng.normal(size=clean.shape)).astype(np.float32)
    scores = rng.random((600, 3))
    found = consistency(clean, noisy, scores, scores)
    c = clean.astype(np.float64) / np.linalg.norm(clean.astype(np.float64), axis=1)[:, None]
    n = noisy.astype(np.float64) / np.linalg.norm(noisy.astype(np.float64), axis=1)[:, None]
    table = np.array([[float(a @ b) for b in c] for a in n])
    off = ~np.eye(600, dtype=bool)
    assert found.cosine_random == pytest.approx(table[off].mean(), abs=1e-10)
    assert found.retrieval_at_1 == pytest.approx((table.argmax(axis=1) == np.arange(600)).mean())
    assert found.tag_change == 0.0


def test_a_perfectly_robust_encoder(rng: np.random.Generator) -> None:
    clean = rng.normal(size=(50, 8)).astype(np.float32)
    found = consistency(clean, 3 * clean, np.zeros((50, 1)), np.zeros((50, 1)))
    assert found.cosine_twin == pytest.approx(1.0)
    assert found.retrieval_at_1 == 1.0


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_collapsed_encoder_scores_at_chance(value: float) -> None:
    """All clips on one point: twins agree perfectly, and so does everything else."""
    same = np.full((40, 6), value, dtype=np.float32)
    found = consistency(same, same, np.zeros((40, 1)), np.zeros((40, 1)))
    assert found.cosine_margin == pytest.approx(0.0, abs=1e-12)
    assert found.retrieval_at_1 == pytest.approx(found.retrieval_chance)


@pytest.mark.parametrize(
    ("shape", "scores", "message"),
    [
        ((4, 3), (4, 2), r"\(5, 3\) and \(4, 3\) embeddings"),
        ((5, 3), (4, 2), r"\(5, 2\) and \(4, 2\) scores"),
    ],
)
def test_what_are_no_twins_is_refused(
    shape: tuple[int, int], scores: tuple[int, int], message: str
) -> None:
    clean = np.ones((5, 3), dtype=np.float32)
    with pytest.raises(ManifestError, match=message):
        consistency(clean, np.ones(shape, dtype=np.float32), np.ones((5, 2)), np.ones(scores))


def test_one_clip_has_no_random_pairs() -> None:
    one = np.ones((1, 3), dtype=np.float32)
    with pytest.raises(ManifestError, match="expected at least 2 clips for random pairs, got 1"):
        consistency(one, one, np.ones((1, 1)), np.ones((1, 1)))


def artists(n: int) -> list[str]:
    return [f"artist {number // 4}" for number in range(n)]


def test_probe_finds_a_shift_and_nothing_in_equal_domains(rng: np.random.Generator) -> None:
    clean = rng.normal(size=(400, 6)).astype(np.float32)
    alike = rng.normal(size=(400, 6)).astype(np.float32)
    none = domain_probe_auc(clean, alike, artists(400))
    found = domain_probe_auc(clean, alike + np.float32(0.8), artists(400))
    assert none == pytest.approx(0.5, abs=0.06)
    assert found is not None
    # six independent shifts of 0.8 σ: d' = 0.8 √6, AUC = Φ(d' / √2) = 0.917
    assert found == pytest.approx(0.917, abs=0.03)


def test_only_the_mlp_finds_what_no_line_separates(rng: np.random.Generator) -> None:
    clean = rng.normal(size=(600, 2)).astype(np.float32)
    ring = rng.normal(size=(600, 2))
    ring = (4 * ring / np.linalg.norm(ring, axis=1)[:, None]).astype(np.float32)
    linear = domain_probe_auc(clean, ring, artists(600))
    mlp = domain_probe_auc(clean, ring, artists(600), probe="mlp")
    assert linear is not None
    assert mlp is not None
    assert linear < 0.65
    assert mlp > 0.95
    assert mlp == domain_probe_auc(clean, ring, artists(600), probe="mlp")


def test_probe_is_scored_on_unseen_artists(rng: np.random.Generator) -> None:
    """A cue that differs from artist to artist is learnt by heart, and worth nothing elsewhere."""
    names = artists(240)
    of_artist = {name: rng.normal(size=60) * 5 for name in names}
    base = np.stack([of_artist[name] for name in names])
    cue = {name: rng.choice([-1.0, 1.0]) for name in names}
    clean = base + rng.normal(size=base.shape) * 0.01
    noisy = base + rng.normal(size=base.shape) * 0.01
    noisy += np.stack([np.full(60, 0.3 * cue[name]) for name in names])
    shuffled = [f"clip {number}" for number in range(240)]
    grouped = domain_probe_auc(clean.astype("f4"), noisy.astype("f4"), names)
    leaking = domain_probe_auc(clean.astype("f4"), noisy.astype("f4"), shuffled)
    assert grouped is not None
    assert leaking is not None
    assert grouped < leaking


def test_probe_without_two_artists_says_nothing() -> None:
    one = np.ones((3, 2), dtype=np.float32)
    assert domain_probe_auc(one, one, ["a", "a", "a"]) is None


def test_probe_takes_as_many_folds_as_there_are_artists(rng: np.random.Generator) -> None:
    clean = rng.normal(size=(12, 2)).astype(np.float32)
    found = domain_probe_auc(clean, clean + np.float32(10), ["a"] * 6 + ["b"] * 6)
    assert found == 1.0


def test_probe_refuses_other_shapes() -> None:
    one = np.ones((3, 2), dtype=np.float32)
    with pytest.raises(ManifestError, match="expected clean and noisy embeddings of 2 clips"):
        domain_probe_auc(one, one, ["a", "b"])
