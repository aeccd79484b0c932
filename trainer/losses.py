"""The losses of all three stages and of the comparisons: pure functions of network outputs.

Each computes in float32 whatever precision its inputs have: sums over 2N similarities and
logarithms of probabilities near 1 do not survive bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch.nn import functional as F

from manifests.errors import ManifestError, UsageError

DomainForm = Literal["reversed", "confusion", "entropy"]
ConsistencyForm = Literal["embedding", "prediction"]


def nt_xent(
    z_a: torch.Tensor,
    z_b: torch.Tensor,
    temperature: float = 0.5,
    gather: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Normalised temperature-scaled cross entropy of two views of a batch.

    Chen et al. 2020 (arXiv:2002.05709), equation 1, summed over all 2N views and divided by 2N:
    -log of exp(cos(z_i, z_j)/τ) over the sum of the same for the 2N - 1 other views, 2N - 2 of
    them negatives. Unlike CLMR's, it takes any batch size. With one pair there is no negative, and
    the loss is 0.

    Args:
        z_a: projections of the first views, (N, D).
        z_b: projections of the second views, (N, D); row i is the positive of row i of ``z_a``.
        temperature: τ.
        gather: concatenates a tensor over ranks, with gradient; see ``trainer.gather``.

    Returns:
        The loss, 0-d.

    Raises:
        UsageError: for a temperature that is not positive.
        ManifestError: for views of different shapes, or none.
    """
    if not temperature > 0:
        raise UsageError(f"temperature: expected more than 0, got {temperature}; CLMR uses 0.5")
    if z_a.shape != z_b.shape or z_a.ndim != 2 or z_a.shape[0] == 0:
        raise ManifestError(
            f"projections: expected two views of shape (N, D), got {tuple(z_a.shape)} and "
            f"{tuple(z_b.shape)}; project both views of the same examples"
        )
    if gather is not None:
        z_a, z_b = gather(z_a), gather(z_b)
    n_pairs = z_a.shape[0]
    z = F.normalize(torch.cat([z_a, z_b]).float(), dim=1)  # (2N, D)
    with torch.autocast(z.device.type, enabled=False):
        similarity = z @ z.T / temperature  # (2N, 2N)
    similarity = similarity.masked_fill(torch.eye(2 * n_pairs, device=z.device).bool(), -math.inf)
    positive = torch.arange(2 * n_pairs, device=z.device).roll(n_pairs)
    return F.cross_entropy(similarity, positive)


def domain_loss(
    logits_source: torch.Tensor, logits_target: torch.Tensor, form: DomainForm = "reversed"
) -> torch.Tensor:
    """Loss of the domain classifier's logits: mean over source plus mean over target.

    L_d(source) + L_d(target) of thesis eq. 2.5 as METHOD.md section 6, row 1 reads it; λ is the
    caller's. With p = sigmoid(logit) the probability of "noisy", L_d is

    * ``reversed``: the classifier's own loss, cross entropy with source = 0 and target = 1. The
      reversal happens in ``reverse_gradient``, in front of the classifier. Chance is 2·log 2. With
      a frozen classifier it is unbounded: the encoder is paid for making it confidently wrong.
    * ``confusion``: cross entropy with ½, less log 2; 0 at p = ½, the least there is. The encoder
      minimises it *without* reversal (Tzeng et al. 2015, arXiv:1510.02192, eq. 5).
    * ``entropy``: minus the entropy of p; -2·log 2 at p = ½, the least there is, and at most 0.
      The encoder minimises it without reversal (the "Entropy" objective of Huang et al. 2022's
      code). Its gradient vanishes where the classifier is certain; that of ``confusion`` is
      largest there.

    Args:
        logits_source: logits of clean examples, (B_source,).
        logits_target: logits of noisy examples, (B_target,).
        form: which of the three.

    Returns:
        The loss, 0-d.

    Raises:
        UsageError: for another form.
    """
    if form not in get_args(DomainForm):
        raise UsageError(
            f"domain loss: expected one of {', '.join(get_args(DomainForm))}, got {form}; "
            "use one of them"
        )
    return _domain_term(logits_source.float(), 0.0, form) + _domain_term(
        logits_target.float(), 1.0, form
    )


def _domain_term(logits: torch.Tensor, domain: float, form: DomainForm) -> torch.Tensor:
    if form == "reversed":
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, domain))
    if form == "confusion":
        half = torch.full_like(logits, 0.5)
        return F.binary_cross_entropy_with_logits(logits, half) - math.log(2.0)
    return -_binary_entropy(logits).mean()


def _binary_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Entropy of Bernoulli(sigmoid(l)) in nats: softplus(l) - l·sigmoid(l), stable for any l."""
    return F.softplus(logits) - logits * torch.sigmoid(logits)


def tag_loss(logits: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of tags, mean over tags and batch (thesis eq. 3.2, brackets mended).

    Args:
        logits: (B, n_tags).
        tags: multi-hot tags, or probabilities of a teacher, (B, n_tags).

    Returns:
        The loss, 0-d.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), tags.float())


def consistency_loss(
    h_clean: torch.Tensor,
    h_noisy: torch.Tensor,
    form: ConsistencyForm = "embedding",
    *,
    stop_gradient: bool = True,
) -> torch.Tensor:
    """Distance between what the network says of a clean excerpt and of its noisy twin.

    * ``embedding``: 1 - cosine, mean over the batch; 0 for equal directions, at most 2.
    * ``prediction``: cross entropy of the noisy tag probabilities to the clean ones, less its
      minimum, the entropy of the clean ones: the Kullback-Leibler divergence, mean over tags and
      batch; 0 for equal predictions. The clean side is a teacher, so it never takes gradient.

    Args:
        h_clean: embeddings of clean audio, (B, D); for ``prediction`` tag logits, (B, n_tags).
        h_noisy: the same of the noisy twins.
        form: which of the two.
        stop_gradient: whether ``embedding`` holds the clean side fixed.

    Returns:
        The loss, 0-d.

    Raises:
        UsageError: for another form.
    """
    if form not in get_args(ConsistencyForm):
        raise UsageError(
            f"consistency loss: expected one of {', '.join(get_args(ConsistencyForm))}, "
            f"got {form}; use one of them"
        )
    clean, noisy = h_clean.float(), h_noisy.float()
    if form == "prediction":
        clean = clean.detach()
        cross_entropy = F.binary_cross_entropy_with_logits(noisy, torch.sigmoid(clean))
        return cross_entropy - _binary_entropy(clean).mean()
    return 1.0 - F.cosine_similarity(clean.detach() if stop_gradient else clean, noisy).mean()
