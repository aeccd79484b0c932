"""The pitfalls of METHOD.md section 4: each check passes, and notices the faults planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pitfall_checks import (
    check_adversary_fools,
    check_all_chunks,
    check_alpha_ramps,
    check_domains,
    check_frozen_stays,
    check_reversal,
)
from tiny_suite import SAMPLES
from torch import nn

import trainer.stage2_domain
import trainer.stage3_dat as stage3
import trainer.validation
from manifests.rows import CHUNK_SAMPLES
from trainer.config import ModelConfig
from trainer.data.reading import LABELLED_CLEAN, UNLABELLED_CLEAN, UNLABELLED_NOISY, View
from trainer.stage1_encoder import new_encoder


def no_reversal(x: torch.Tensor, weight: float) -> torch.Tensor:
    return x


def wrong_sign(x: torch.Tensor, weight: float) -> torch.Tensor:
    scaled = x.detach() + weight * (x - x.detach())
    return scaled


def freeze_parameters_only(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def thawed_by_train(module: nn.Module) -> nn.Module:
    module.eval().requires_grad_(False)
    return module.train()


def first_chunk(refs: Any, **options: Any) -> Any:
    for clip in real_iter_clips(refs, **options):
        clip.chunks.update({name: chunks[:1] for name, chunks in clip.chunks.items()})
        yield clip


real_iter_clips = trainer.validation.iter_clips

REVERSALS = [("no reversal", stage3, "reverse_gradient", no_reversal),
             ("wrong sign", stage3, "reverse_gradient", wrong_sign)]  # fmt: skip
FROZEN = [
    ("encoder in train mode", trainer.stage2_domain, "freeze", freeze_parameters_only),
    ("encoder thawed by train()", trainer.stage2_domain, "freeze", thawed_by_train),
    ("classifier in train mode", stage3, "freeze", freeze_parameters_only),
    ("classifier thawed by train()", stage3, "freeze", thawed_by_train),
]
SWAPPED = [
    ("noisy for clean in stage 2", trainer.stage2_domain, "UNLABELLED_CLEAN", UNLABELLED_NOISY),
    ("clean for noisy in stage 2", trainer.stage2_domain, "UNLABELLED_NOISY", UNLABELLED_CLEAN),
    ("clean for noisy in stage 3", stage3, "UNLABELLED_NOISY", UNLABELLED_CLEAN),
]
CHECKS: dict[str, tuple[Callable[..., None], list[Any]]] = {
    "reversal": (check_reversal, REVERSALS),
    "the adversary fools the classifier": (check_adversary_fools, REVERSALS),
    "alpha ramps": (
        check_alpha_ramps,
        [
            ("stuck at 0", stage3, "dann_alpha", lambda progress, gamma: 0.0),
            ("stuck at 1", stage3, "dann_alpha", lambda progress, gamma: 1.0),
        ],
    ),
    "what is frozen stays": (check_frozen_stays, FROZEN),
    "source is clean, target noisy": (check_domains, SWAPPED),
    "all chunks are scored": (
        check_all_chunks,
        [("one chunk", trainer.validation, "iter_clips", first_chunk)],
    ),
}
PLANTED = [
    pytest.param(name, fault, id=f"{name}: {fault[0]}")
    for name, (_, faults) in CHECKS.items()
    for fault in faults
]


def arguments(check: Callable[..., None], **fixtures: object) -> dict[str, object]:
    wanted = check.__code__.co_varnames[: check.__code__.co_argcount]
    return {name: fixtures[name] for name in wanted}


@pytest.mark.parametrize("name", CHECKS)
def test_sound(name: str, suite: Path, dat_run: Path, tmp_path: Path) -> None:
    check, _ = CHECKS[name]
    check(**arguments(check, suite=suite, dat_run=dat_run, tmp_path=tmp_path))


@pytest.mark.parametrize(("name", "fault"), PLANTED)
def test_planted_fault_is_noticed(
    name: str,
    fault: tuple[str, Any, str, object],
    suite: Path,
    dat_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check, (_, module, attribute, planted) = CHECKS[name][0], fault
    monkeypatch.setattr(module, attribute, planted)
    with pytest.raises(AssertionError):
        check(**arguments(check, suite=suite, dat_run=dat_run, tmp_path=tmp_path))


def test_views_of_the_readings() -> None:
    """The planted faults above stand on these: what they swap is what they seem to."""
    assert (UNLABELLED_CLEAN.views, UNLABELLED_NOISY.views) == ((View.CLEAN,), (View.NOISY,))
    assert LABELLED_CLEAN.tags and not UNLABELLED_NOISY.tags
    assert new_encoder(ModelConfig(width=0.03)).n_features == 15 and SAMPLES > CHUNK_SAMPLES
