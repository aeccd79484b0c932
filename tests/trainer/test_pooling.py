"""Attention pooling: known answers, invariants, and what it can learn that a mean cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from manifests.errors import ManifestError
from trainer.bags import BagBatch
from trainer.evaluation.clip_scores import mean_of_chunks
from trainer.evaluation.model import AttentionAggregate
from trainer.metrics import macro_metrics
from trainer.models.pooling import AttentionPooling, pooled
from trainer.stage4_pooling import bag_loss

LN3 = math.log(3.0)


def lively(n_features: int = 6, n_tags: int = 3, seed: int = 0) -> AttentionPooling:
    """A head that prefers some chunks by far."""
    torch.manual_seed(seed)
    pooling = AttentionPooling(n_features, n_tags, hidden=5)
    nn.init.normal_(pooling.score.weight, std=4.0)
    return pooling


def chunks(
    seed: int, n_chunks: int, n_features: int = 6, n_tags: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities over twelve decades, and embeddings, of one bag."""
    rng = np.random.default_rng(seed)
    probabilities = 10.0 ** rng.uniform(-12, 0, (n_chunks, n_tags))
    return (
        probabilities.astype(np.float32),
        rng.standard_normal((n_chunks, n_features)).astype(np.float32),
    )


BAG = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 40))


# ---- known answers ----------------------------------------------------------------------


@given(BAG)
def test_it_begins_as_the_mean_exactly(bag: tuple[int, int]) -> None:
    """Bit for bit what evaluation gives without attention."""
    probabilities, embeddings = chunks(*bag)
    attention = AttentionAggregate(AttentionPooling(6, 3))
    expected = mean_of_chunks(probabilities, embeddings)
    np.testing.assert_array_equal(attention(probabilities, embeddings), expected)
    p = torch.from_numpy(probabilities)
    weights = AttentionPooling(6, 3)(torch.from_numpy(embeddings))
    assert torch.equal(weights, torch.ones_like(p))
    assert torch.equal(pooled(p, weights), p.mean(dim=0))


def test_weights_by_hand() -> None:
    """tanh(V h) = 0 and 1/2, gates 1/2, so a = 0 and ln 3 for the first tag, 0 for the second."""
    pooling = AttentionPooling(1, 2, hidden=1)
    with torch.no_grad():
        for layer, weight in ((pooling.content, 1.0), (pooling.gate, 0.0)):
            layer.weight.fill_(weight)
            layer.bias.zero_()
        pooling.score.weight.copy_(torch.tensor([[4 * LN3], [0.0]]))
    h = torch.tensor([[0.0], [math.atanh(0.5)]])
    weights = pooling(h)
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 1.0], [1.0, 1.0]]))
    p = torch.tensor([[0.2, 0.2], [0.6, 0.6]])
    torch.testing.assert_close(pooled(p, weights), torch.tensor([(0.2 + 3 * 0.6) / 4, 0.4]))


def test_it_is_softmax_over_the_chunks() -> None:
    pooling = lively()
    probabilities, embeddings = map(torch.from_numpy, chunks(1, 9))
    softmax = torch.softmax(pooling.scores(embeddings), dim=0)
    torch.testing.assert_close(
        pooled(probabilities, pooling(embeddings)), (softmax * probabilities).sum(dim=0)
    )


def test_parameters_are_those_of_the_equation() -> None:
    """V and U with biases, W without: 2 (512 · 128 + 128) + 128 · 50."""
    count = sum(p.numel() for p in AttentionPooling(512, 50).parameters())
    assert count == 2 * (512 * 128 + 128) + 128 * 50


# ---- invariants -------------------------------------------------------------------------


@given(BAG, st.randoms(use_true_random=False))
def test_the_order_of_chunks_does_not_matter(bag: tuple[int, int], random: object) -> None:
    probabilities, embeddings = chunks(*bag)
    order = list(range(bag[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    attention = AttentionAggregate(lively())
    np.testing.assert_allclose(
        attention(probabilities[order], embeddings[order]),
        attention(probabilities, embeddings),
        rtol=1e-12,
    )


@given(BAG, st.floats(0, 1e30))
def test_a_pooled_probability_lies_among_those_of_the_chunks(
    bag: tuple[int, int], scale: float
) -> None:
    probabilities, embeddings = chunks(*bag)
    pooling = lively()
    with torch.no_grad():
        pooling.score.weight.mul_(scale)
    found = AttentionAggregate(pooling)(probabilities, embeddings)
    assert (found >= probabilities.min(axis=0) * (1 - 1e-12)).all()
    assert (found <= probabilities.max(axis=0) * (1 + 1e-12)).all()
    assert AttentionAggregate(pooling)(np.ones_like(probabilities), embeddings).max() <= 1.0


@given(BAG, st.integers(1, 5))
def test_chunks_that_are_not_there_play_no_part(bag: tuple[int, int], padding: int) -> None:
    probabilities, embeddings = map(torch.from_numpy, chunks(*bag))
    pooling = lively()
    alone = pooled(probabilities, pooling(embeddings))
    mask = torch.arange(bag[1] + padding) < bag[1]
    padded = [
        nn.functional.pad(rows, (0, 0, 0, padding), value=7.0)
        for rows in (embeddings, probabilities)
    ]
    weights = pooling(padded[0], mask)
    assert not weights[bag[1] :].any()
    torch.testing.assert_close(pooled(padded[1], weights), alone)


def test_one_chunk_is_its_own_score() -> None:
    probabilities, embeddings = chunks(3, 1)
    found = AttentionAggregate(lively())(probabilities, embeddings)
    np.testing.assert_array_equal(found, probabilities[0].astype(np.float64))


def test_weights_that_are_no_numbers_are_refused() -> None:
    pooling = lively()
    with torch.no_grad():
        pooling.score.weight[0, 0] = math.nan
    with pytest.raises(ManifestError, match="expected finite weights of the chunks"):
        AttentionAggregate(pooling)(*chunks(0, 3))


def test_the_head_that_evaluation_holds_is_a_copy() -> None:
    pooling = lively()
    AttentionAggregate(pooling)
    assert pooling.score.weight.dtype == torch.float32 and pooling.training


# ---- learning ---------------------------------------------------------------------------


def batch_of(embeddings: torch.Tensor, probabilities: torch.Tensor, tags: torch.Tensor) -> BagBatch:
    return BagBatch(embeddings, probabilities, torch.ones(embeddings.shape[:2]).bool(), tags)


def test_the_gradient_is_that_of_finite_differences() -> None:
    pooling = lively().double()
    p, h = (torch.from_numpy(rows)[None].double() for rows in chunks(5, 4))
    tags = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)
    weights = [value.detach().clone().requires_grad_() for value in pooling.parameters()]
    names = [name for name, _ in pooling.named_parameters()]

    def loss(*values: torch.Tensor) -> torch.Tensor:
        now = dict(zip(names, values, strict=True))
        given_weights = torch.func.functional_call(pooling, now, (h,))
        return nn.functional.binary_cross_entropy(pooled(p, given_weights), tags)

    assert torch.autograd.gradcheck(loss, weights)
    bag_loss(pooling, batch_of(h, p, tags)).backward()
    grads = torch.autograd.grad(loss(*weights), weights)
    for own, expected in zip(pooling.parameters(), grads, strict=True):
        torch.testing.assert_close(own.grad, expected)


def test_only_w_moves_at_first_then_all() -> None:
    """V and U hear nothing while W is 0; that it is 0 does not hold W itself."""
    torch.manual_seed(0)
    pooling = AttentionPooling(6, 3, hidden=5)
    optimizer = torch.optim.SGD(pooling.parameters(), lr=1.0)
    p, h = (torch.from_numpy(rows)[None] for rows in chunks(2, 8))
    moved = []
    for _ in range(2):
        optimizer.zero_grad()
        bag_loss(pooling, batch_of(h, p, torch.ones(1, 3))).backward()
        moved.append(
            [n for n, w in pooling.named_parameters() if w.grad is not None and w.grad.any()]
        )
        optimizer.step()
    assert moved == [["score.weight"], [name for name, _ in pooling.named_parameters()]]


def bags_with_one_telling_chunk(seed: int, n_bags: int = 400) -> BagBatch:
    """Ten chunks a bag; for each of two tags another one tells, by a flag in its embedding.

    There the tagger says 0.9 or 0.1, rightly; what it says of all the others is chance. Which chunk
    it is differs from bag to bag.
    """
    generator = torch.Generator().manual_seed(seed)
    tags = torch.randint(0, 2, (n_bags, 2), generator=generator).float()
    probabilities = torch.rand(n_bags, 10, 2, generator=generator)
    embeddings = torch.randn(n_bags, 10, 6, generator=generator)
    embeddings[..., :2] = 0.0
    for tag in range(2):
        place = torch.randint(0, 10, (n_bags,), generator=generator)
        bags = torch.arange(n_bags)
        embeddings[bags, place, tag] = 1.0
        probabilities[bags, place, tag] = 0.1 + 0.8 * tags[:, tag]
    return batch_of(embeddings, probabilities, tags)


def auc(scores: torch.Tensor, bags: BagBatch) -> float:
    macro = macro_metrics(scores.double().numpy(), bags.tags.numpy().astype(bool), ("a", "b"))
    assert macro.auc is not None
    return macro.auc


def test_it_finds_the_chunk_that_carries_the_tag() -> None:
    torch.manual_seed(0)
    pooling = AttentionPooling(6, 2, hidden=16)
    optimizer = torch.optim.Adam(pooling.parameters(), lr=0.03)
    train, test = (bags_with_one_telling_chunk(seed) for seed in (0, 1))
    for _ in range(150):
        optimizer.zero_grad()
        bag_loss(pooling, train).backward()
        optimizer.step()
    with torch.no_grad():
        found = auc(pooled(test.probabilities, pooling(test.embeddings)), test)
    assert auc(test.probabilities.mean(dim=1), test) < 0.85
    assert found > 0.99
