"""Metrics against scikit-learn and against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from manifests.errors import ManifestError
from trainer.metrics import balanced_domain_accuracy, macro_metrics
from trainer.rank_metrics import BLOCK_VALUES, rank_tag


def test_hand_computed_case() -> None:
    # Ranking: + - + - : of 4 pairs 3 are right; precision at the positives 1 and 2/3.
    scores = np.array([[0.9], [0.8], [0.7], [0.1]])
    labels = np.array([[True], [False], [True], [False]])
    found = macro_metrics(scores, labels, ["guitar"])
    assert found.auc == pytest.approx(3 / 4)
    assert found.ap == pytest.approx((1 + 2 / 3) / 2)
    assert (found.n_tags, found.n_left_out) == (1, 0)
    assert found.tags[0].n_positive == 2


def test_macro_is_the_plain_mean_of_scikit_learn_per_tag(rng: np.random.Generator) -> None:
    scores, labels = rng.random((200, 7)), rng.random((200, 7)) < 0.2
    found = macro_metrics(scores, labels, list("abcdefg"))
    assert found.auc == pytest.approx(roc_auc_score(labels, scores, average="macro"), abs=1e-12)
    assert found.ap == pytest.approx(
        average_precision_score(labels, scores, average="macro"), abs=1e-12
    )


def test_tags_without_positives_or_negatives_are_left_out_and_counted(
    rng: np.random.Generator,
) -> None:
    scores, labels = rng.random((50, 4)), rng.random((50, 4)) < 0.5
    labels[:, 1], labels[:, 2] = False, True
    found = macro_metrics(scores, labels, ["a", "never", "always", "d"])
    assert (found.n_tags, found.n_left_out) == (2, 2)
    assert [(row.tag, row.n_positive, row.auc, row.ap) for row in found.tags[1:3]] == [
        ("never", 0, None, None),
        ("always", 50, None, None),
    ]
    kept = [roc_auc_score(labels[:, i], scores[:, i]) for i in (0, 3)]
    assert found.auc == pytest.approx(np.mean(kept), abs=1e-15)


def test_no_tag_to_score_gives_none() -> None:
    found = macro_metrics(np.zeros((3, 2)), np.zeros((3, 2), dtype=bool), ["a", "b"])
    assert (found.auc, found.ap, found.n_tags, found.n_left_out) == (None, None, 0, 2)


@pytest.mark.parametrize(
    ("scores", "labels", "tags", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1), bool), ["a", "b"], r"got \(3, 2\) and \(3, 1\)"),
        (np.zeros((3, 2)), np.zeros((3, 2), bool), ["a"], r"expected \(n_clips, 1\)"),
        (np.zeros(3), np.zeros(3, bool), ["a"], "score every clip"),
        (np.zeros((0, 1)), np.zeros((0, 1), bool), ["a"], "expected at least one clip"),
        (np.array([[0.1], [np.nan]]), np.zeros((2, 1), bool), ["a"], "1 of 2 clips.*row 1"),
    ],
)
def test_wrong_input_is_refused(
    scores: np.ndarray, labels: np.ndarray, tags: list[str], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        macro_metrics(scores, labels, tags)


def test_balanced_accuracy_counts_both_domains_alike() -> None:
    # 8 noisy all found, 2 clean of which one is found: plain accuracy 0.9, balanced 0.75.
    is_noisy = np.array([True] * 8 + [False] * 2)
    probability = np.array([0.9] * 8 + [0.5, 0.49])
    assert balanced_domain_accuracy(probability, is_noisy) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("probability", "is_noisy", "message"),
    [
        (np.array([0.2, 0.8]), np.array([True]), r"\(2,\) and \(1,\)"),
        (np.array([0.2, 3.0]), np.array([True, False]), "apply the sigmoid"),
        (np.array([0.2, np.nan]), np.array([True, False]), "apply the sigmoid"),
        (np.array([0.2, 0.8]), np.array([True, True]), "got 2 noisy of 2"),
    ],
)
def test_wrong_domain_input_is_refused(
    probability: np.ndarray, is_noisy: np.ndarray, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        balanced_domain_accuracy(probability, is_noisy)


@st.composite
def weighted_rankings(
    draw: st.DrawFn,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with many ties, labels of both kinds, and weights as a bootstrap gives them."""
    n = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])))
    positive = draw(hnp.arrays(np.bool_, n))
    weights = draw(hnp.arrays(np.int64, (n, 3), elements=st.integers(0, 4)))
    return scores, positive, weights.astype(np.float64)


@settings(max_examples=300, deadline=None)
@given(weighted_rankings())
def test_fast_metrics_equal_scikit_learn_with_ties_and_weights(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    scores, positive, weights = case
    auc, ap = rank_tag(scores, positive, np.arange(len(scores)), len(scores)).auc_ap(weights)
    for column in range(weights.shape[1]):
        weight = weights[:, column]
        if not weight[positive].sum() or not weight[~positive].sum():
            assert np.isnan(auc[column])
            assert np.isnan(ap[column])
            continue
        expected_auc = roc_auc_score(positive, scores, sample_weight=weight)
        expected_ap = average_precision_score(positive, scores, sample_weight=weight)
        assert auc[column] == pytest.approx(expected_auc, abs=1e-12)
        assert ap[column] == pytest.approx(expected_ap, abs=1e-12)


def test_fast_metrics_equal_scikit_learn_on_repeated_clips(rng: np.random.Generator) -> None:
    """A weight of k is the clip k times: the definition of a bootstrap draw."""
    scores, positive = np.round(rng.random(300), 2), rng.random(300) < 0.1
    clusters = rng.integers(0, 30, 300)
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=20).T.astype(np.float64)
    auc, ap = rank_tag(scores, positive, clusters, 30).auc_ap(counts)
    for draw in range(20):
        rows = np.repeat(np.arange(300), counts[clusters, draw].astype(int))
        expected = roc_auc_score(positive[rows], scores[rows])
        assert auc[draw] == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(positive[rows], scores[rows])
        assert ap[draw] == pytest.approx(expected, abs=1e-12)


def test_fast_metrics_do_not_depend_on_the_block_of_draws(rng: np.random.Generator) -> None:
    n = 4_000  # 2,000 thresholds, 6,001 rows: a block holds 666 of the 700 draws
    scores, positive = rng.random(n), np.arange(n) < n // 2
    counts = rng.integers(0, 3, (n, 700)).astype(np.float64)
    ranking = rank_tag(scores, positive, np.arange(n), n)
    assert BLOCK_VALUES // (3 * ranking.n_thresholds + 1) < 700
    auc, ap = ranking.auc_ap(counts)
    for draw in (0, 665, 666, 667, 699):
        alone = ranking.auc_ap(counts[:, draw : draw + 1])
        assert alone[0][0] == pytest.approx(auc[draw], abs=1e-12)
        assert alone[1][0] == pytest.approx(ap[draw], abs=1e-12)
