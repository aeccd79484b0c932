"""Losses against slow references and known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import ManifestError, UsageError
from trainer.losses import consistency_loss, domain_loss, nt_xent, tag_loss

LOG2 = math.log(2.0)


def slow_nt_xent(z_a: torch.Tensor, z_b: torch.Tensor, temperature: float) -> float:
    """Equation 1 of the SimCLR paper, one view at a time."""
    views = [row.double().numpy() for row in (*z_a, *z_b)]
    n_pairs = len(z_a)

    def similarity(i: int, j: int) -> float:
        cosine = views[i] @ views[j] / np.linalg.norm(views[i]) / np.linalg.norm(views[j])
        return math.exp(cosine / temperature)

    total = 0.0
    for i in range(2 * n_pairs):
        partner = (i + n_pairs) % (2 * n_pairs)
        others = sum(similarity(i, k) for k in range(2 * n_pairs) if k != i)
        total -= math.log(similarity(i, partner) / others)
    return total / (2 * n_pairs)


@settings(deadline=None, max_examples=30)
@given(
    n_pairs=st.integers(1, 9),
    temperature=st.floats(0.1, 2.0),
    seed=st.integers(0, 2**31),
)
def test_nt_xent_equals_the_slow_reference(n_pairs: int, temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    z_a, z_b = torch.randn(2, n_pairs, 5, generator=generator)
    expected = slow_nt_xent(z_a, z_b, temperature)
    assert float(nt_xent(z_a, z_b, temperature)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_nt_xent_known_answers() -> None:
    # Two orthogonal pairs, views equal: 1 positive at cosine 1, 2 negatives at cosine 0.
    z = torch.eye(2)
    expected = -math.log(math.e**2 / (math.e**2 + 2))
    assert float(nt_xent(z, z, 0.5)) == pytest.approx(expected, rel=1e-6)
    # All projections equal: uniform over the 2N - 1 others.
    assert float(nt_xent(torch.ones(3, 4), torch.ones(3, 4))) == pytest.approx(math.log(5))
    assert float(nt_xent(torch.ones(1, 4), -torch.ones(1, 4))) == 0.0


def test_nt_xent_pulls_pairs_together_and_ignores_length() -> None:
    z_a = torch.randn(5, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    z_b = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    loss = nt_xent(z_a, z_b)
    torch.testing.assert_close(nt_xent(3 * z_a, 0.1 * z_b), loss)
    (gradient,) = torch.autograd.grad(loss, z_a)
    assert nt_xent(z_a - 0.1 * gradient, z_b) < loss
    shuffled = z_b.roll(1, dims=0)
    assert not torch.isclose(nt_xent(z_a, shuffled), loss)


def test_nt_xent_gathers_both_views() -> None:
    mine, others = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(4))
    waiting = [others[0], others[1]]
    loss = nt_xent(mine[0], mine[1], gather=lambda z: torch.cat([z, waiting.pop(0)]))
    whole = torch.cat([mine, others], dim=1)
    torch.testing.assert_close(loss, nt_xent(whole[0], whole[1]))


def test_nt_xent_is_float32_under_autocast() -> None:
    z_a, z_b = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(z_a, z_b)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, nt_xent(z_a, z_b))


def test_nt_xent_bad_input() -> None:
    z = torch.ones(3, 4)
    with pytest.raises(UsageError, match="temperature: expected more than 0, got 0"):
        nt_xent(z, z, 0)
    for other in (torch.ones(2, 4), torch.ones(3)):
        with pytest.raises(
            ManifestError, match=r"expected two views of shape \(N, D\), got \(3, 4\)"
        ):
            nt_xent(z, other)
    with pytest.raises(ManifestError, match="expected two views"):
        nt_xent(z[:0], z[:0])


@pytest.mark.parametrize(
    ("form", "at_half", "when_certain_and_right"),
    [("reversed", 2 * LOG2, 0.0), ("confusion", 0.0, 10 - 2 * LOG2), ("entropy", -2 * LOG2, 0.0)],
)
def test_domain_loss_known_answers(
    form: str, at_half: float, when_certain_and_right: float
) -> None:
    even = torch.zeros(3), torch.zeros(5)
    assert float(domain_loss(*even, form)) == pytest.approx(at_half, abs=1e-6)  # type: ignore[arg-type]
    sure = torch.full((3,), -10.0), torch.full((5,), 10.0)
    value = float(domain_loss(*sure, form))  # type: ignore[arg-type]
    assert value == pytest.approx(when_certain_and_right, abs=2e-3)


def test_domain_loss_is_a_sum_of_two_means() -> None:
    source, target = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.7])
    expected = np.mean([math.log1p(math.exp(v)) for v in source.tolist()])
    expected += math.log1p(math.exp(-0.7))
    assert float(domain_loss(source, target)) == pytest.approx(expected, rel=1e-6)


def test_reversed_form_knows_source_from_target() -> None:
    source, target = torch.full((2,), -3.0), torch.full((2,), 3.0)
    assert domain_loss(source, target) < 0.2 < 5 < domain_loss(target, source)


@pytest.mark.parametrize("form", ["confusion", "entropy"])
def test_minimising_confusion_or_entropy_leads_to_one_half(form: str) -> None:
    logits = torch.tensor([-2.0, 0.5, 2.0], requires_grad=True)
    other = torch.zeros(1)
    (gradient,) = torch.autograd.grad(domain_loss(logits, other, form), logits)  # type: ignore[arg-type]
    assert torch.equal(gradient.sign(), logits.detach().sign())
    swapped = domain_loss(other, logits, form)  # type: ignore[arg-type]
    torch.testing.assert_close(swapped, domain_loss(logits, other, form))  # type: ignore[arg-type]


def test_extreme_logits_stay_finite() -> None:
    far = torch.tensor([-1e4, 1e4], requires_grad=True)
    for form in ("reversed", "confusion", "entropy"):
        loss = domain_loss(far, far, form)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(loss, far)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_tag_loss_is_the_mean_over_tags_and_batch() -> None:
    logits = torch.tensor([[0.0, 2.0], [-1.0, 0.5]])
    tags = torch.tensor([[1, 0], [0, 1]])
    p = torch.sigmoid(logits).double().numpy()
    y = tags.numpy()
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert float(tag_loss(logits, tags)) == pytest.approx(expected, rel=1e-6)
    assert tag_loss(logits.bfloat16(), tags).dtype == torch.float32


def test_embedding_consistency() -> None:
    clean = torch.tensor([[1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    noisy = torch.tensor([[0.0, 3.0], [0.0, 5.0]], requires_grad=True)
    loss = consistency_loss(clean, noisy)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert clean.grad is None and noisy.grad is not None
    consistency_loss(clean, noisy, stop_gradient=False).backward()
    assert clean.grad is not None
    assert consistency_loss(clean, -clean).item() == pytest.approx(2.0)


def test_prediction_consistency_is_a_divergence() -> None:
    clean = torch.tensor([[0.3, -2.0], [4.0, 0.0]], requires_grad=True)
    noisy = torch.tensor([[0.1, 1.0], [-3.0, 0.0]], requires_grad=True)
    p = torch.sigmoid(clean.detach()).double().numpy()
    q = torch.sigmoid(noisy.detach()).double().numpy()
    expected = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    loss = consistency_loss(clean, noisy, "prediction", stop_gradient=False)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert clean.grad is None, "the clean side is a teacher"
    assert noisy.grad is not None
    torch.testing.assert_close(
        noisy.grad.double(), torch.from_numpy((q - p) / 4), rtol=1e-4, atol=1e-7
    )
    assert consistency_loss(clean, clean, "prediction").item() == pytest.approx(0.0, abs=1e-6)


def test_unknown_forms() -> None:
    z = torch.zeros(2)
    with pytest.raises(UsageError, match="expected one of reversed, confusion, entropy, got swap"):
        domain_loss(z, z, "swap")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected one of embedding, prediction, got tags"):
        consistency_loss(z[None], z[None], "tags")  # type: ignore[arg-type]
