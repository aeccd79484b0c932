"""Projector, domain classifier and label predictor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manifests.errors import UsageError
from trainer.models.heads import DomainClassifier, LabelPredictor, Projector


def kinds(module: nn.Module) -> list[str]:
    return [type(part).__name__ for part in module.layers]  # type: ignore[union-attr]


def test_projector_is_simclrs() -> None:
    projector = Projector()
    assert sum(p.numel() for p in projector.parameters()) == 294_912
    assert kinds(projector) == ["Linear", "ReLU", "Linear"]
    assert projector(torch.randn(3, 512)).shape == (3, 64)


def test_domain_classifier_default() -> None:
    classifier = DomainClassifier()
    assert kinds(classifier) == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert sum(p.numel() for p in classifier.parameters()) == 513 * 100 + 200 + 101
    assert classifier(torch.randn(4, 512)).shape == (4,)


def test_domain_classifier_variants() -> None:
    large = DomainClassifier(64, (1024, 1024), dropout=0.5, batchnorm=False)
    assert kinds(large) == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [p.shape[0] for p in large.parameters()] == [1024, 1024, 1024, 1024, 1, 1]
    linear = DomainClassifier(64, ())
    assert kinds(linear) == ["Linear"]
    assert linear(torch.randn(1, 64)).shape == (1,)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_is_a_probability(dropout: float) -> None:
    with pytest.raises(UsageError, match=r"dropout: expected a probability in \[0, 1\), got"):
        DomainClassifier(dropout=dropout)


def test_label_predictor() -> None:
    predictor = LabelPredictor(512, 50)
    assert kinds(predictor) == ["Linear", "ReLU", "Linear"]
    assert sum(p.numel() for p in predictor.parameters()) == 513 * 512 + 513 * 50
    assert predictor(torch.randn(3, 512)).shape == (3, 50)


def test_separate_forwards_hide_the_domain_from_batchnorm() -> None:
    """Pitfall 4: a shift between domains is all there is to see, and BatchNorm takes it away.

    Forwarded on its own, each domain is centred on itself, so the classifier answers both alike;
    in one concatenated batch the shift survives.
    """
    torch.manual_seed(0)
    classifier = DomainClassifier(8, (16,)).train()
    source = torch.randn(64, 8)
    target = source + 3.0
    separate = classifier(source), classifier(target)
    torch.testing.assert_close(separate[0], separate[1], rtol=1e-3, atol=1e-3)
    together = classifier(torch.cat([source, target])).split(64)
    assert (together[0].mean() - together[1].mean()).abs() > 0.1
