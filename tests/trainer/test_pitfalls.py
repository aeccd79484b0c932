"""The pitfalls of METHOD.md section 4: each test is green now, and red when the fault is planted.

``plants`` names the faults. Every check runs once as it is, and once for each fault that it must
notice, with an error expected.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_sets import TAGS, write_set
from tiny_suite import (
    COMPARISON,
    DAT,
    SAMPLES,
    TRAIN_SET,
    assert_same_weights,
    run_well,
    song_tags,
    values,
    weights,
)
from torch import nn

import trainer.comparisons
import trainer.data.members as members
import trainer.evaluation.model
import trainer.stage2_domain
import trainer.stage3_dat as stage3
import trainer.validation
from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import load_set
from trainer.config import ModelConfig, TagConfig
from trainer.data import load_refs
from trainer.data.reading import LABELLED_CLEAN, UNLABELLED_CLEAN, UNLABELLED_NOISY, View
from trainer.models.freeze import freeze
from trainer.models.heads import DomainClassifier, LabelPredictor
from trainer.overshoot import warn_of_overshoot
from trainer.runs.distributed import World
from trainer.stage1_encoder import new_encoder
from trainer.stage3_dat import Networks, dat_losses, set_learning, tagger_optimizer
from trainer.validation import TagValidation

N_TAGS = 4
FEW = ("--validations", "1", "--valid-limit", "2")


class Encoder(nn.Module):
    """A small encoder with BatchNorm: audio (B, 1, T) to (B, 8)."""

    n_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 9, stride=4)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(audio))).mean(dim=2)


def networks(seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return Networks(Encoder(), LabelPredictor(8, N_TAGS), DomainClassifier(8, (6,)))


def batch(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Source audio, its tags, target audio; the domains differ in colour, as by noise."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(12, 1, 200, generator=generator).cumsum(dim=2) * 0.1
    target = torch.randn(12, 1, 200, generator=generator)
    tags = (torch.rand(12, N_TAGS, generator=generator) > 0.5).float()
    return source, tags, target


def losses_of(nets: Networks, config: TagConfig, weight: float, *, learns: bool = False) -> Any:
    source, tags, target = batch()
    return dat_losses(nets, (source,), tags, target, config, weight, classifier_learns=learns)


def gradients(nets: Networks, loss: torch.Tensor) -> dict[str, list[torch.Tensor | None]]:
    found = {}
    for name in ("encoder", "predictor", "domain"):
        parameters = [p for p in getattr(nets, name).parameters() if p.requires_grad]
        found[name] = list(
            torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        )
    return found


def flat(gradient: list[torch.Tensor | None]) -> torch.Tensor:
    return torch.cat([g.reshape(-1) for g in gradient if g is not None])


# ---- the adversary ---------------------------------------------------------------


def check_reversal() -> None:
    """The encoder takes the domain loss' gradient times -λα, the classifier (if it learns) times 1.

    The oracle takes the gradients of the plain losses, without any reversal in the graph.
    """
    nets, weight = networks(), 0.3
    found = gradients(nets, losses_of(nets, TagConfig(freeze=False), weight, learns=True)["loss"])
    source, tags, target = batch()
    h = nets.encoder(torch.cat([source, target]))
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    tag = cross_entropy(nets.predictor(h[:12]), tags)
    logits = nets.domain(h)
    domain = cross_entropy(logits[:12], torch.zeros(12)) + cross_entropy(
        logits[12:], torch.ones(12)
    )
    of_tag, of_domain = gradients(nets, tag), gradients(nets, domain)
    torch.testing.assert_close(
        flat(found["encoder"]), flat(of_tag["encoder"]) - weight * flat(of_domain["encoder"])
    )
    torch.testing.assert_close(flat(found["domain"]), flat(of_domain["domain"]))
    torch.testing.assert_close(flat(found["predictor"]), flat(of_tag["predictor"]))


@pytest.mark.parametrize("form", ["confusion", "entropy"])
def test_other_forms_give_the_classifier_no_gradient_and_no_reversal(form: Any) -> None:
    nets, weight, config = networks(), 0.3, TagConfig(domain_loss=form)
    freeze(nets.domain)
    nets.domain.requires_grad_(True)  # even where it could take one
    losses = losses_of(nets, config, weight)
    found = gradients(nets, losses["loss"])
    assert all(gradient is None for gradient in found["domain"])
    expected = gradients(nets, losses["tag"] + weight * losses["domain"])["encoder"]
    torch.testing.assert_close(flat(found["encoder"]), flat(expected))
    assert flat(gradients(nets, losses["domain"])["encoder"]).norm() > 1e-4


@pytest.mark.parametrize("form", ["confusion", "entropy"])
def test_a_classifier_that_learns_takes_its_own_loss_alone(form: Any) -> None:
    nets, config = networks(), TagConfig(domain_loss=form, freeze=False)
    losses = losses_of(nets, config, 0.3, learns=True)
    found = gradients(nets, losses["loss"])
    own = gradients(nets, losses["classifier"])
    torch.testing.assert_close(flat(found["domain"]), flat(own["domain"]))
    assert all(gradient is None for gradient in own["encoder"])


def train_against(weight_of: Callable[[int], float], n_steps: int = 60) -> tuple[Networks, float]:
    """Train against a frozen classifier that knew the domains; return its accuracy at the end."""
    nets, config = networks(), TagConfig(lr=0.01)
    knows = torch.optim.Adam(nets.domain.parameters(), lr=0.05)
    for _ in range(60):
        source, _, target = batch()
        with torch.no_grad():
            h = nets.encoder(torch.cat([source, target]))
        logits = nets.domain(h)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, torch.tensor([0.0] * 12 + [1.0] * 12)
        )
        knows.zero_grad()
        loss.backward()
        knows.step()
    freeze(nets.domain)
    optimizer = tagger_optimizer(nets, config)
    for step in range(n_steps):
        losses = losses_of(nets, config, weight_of(step))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    return nets, float(losses_of(nets, config, 0.0)["domain_accuracy"])


def check_adversary_fools() -> None:
    """From 1.0 the frozen classifier's accuracy falls; a wrong sign or no reversal keeps it."""
    assert train_against(lambda _: 0.0, n_steps=1)[1] > 0.9, "it knew the domains"
    assert train_against(lambda _: 1.0)[1] < 0.6


def check_alpha_ramps(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """λα starts at 0 and follows 2/(1 + exp(-10 p)) - 1 from step to step."""
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, "--lambda", "0.2")
    expected = [0.2 * (2 / (1 + np.exp(-10 * step / 4)) - 1) for step in range(4)]
    means = [np.mean(expected[:2]), np.mean(expected[2:])]
    np.testing.assert_allclose(values(out, "train/lambda_alpha"), means, rtol=1e-6)


# ---- what is frozen --------------------------------------------------------------


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def check_frozen_stays(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Stage 2 leaves the encoder as it is, buffers too; stage 3 the classifier."""
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, *FEW)
    pretrained = weights(dat_run / "encoder" / "checkpoints" / "best")
    domain = weights(out / "domain" / "checkpoints" / "last")
    for name, value in pretrained.items():
        if name.startswith("encoder/"):
            assert torch.equal(domain[name], value), name
    before, after = weights(out / "domain/checkpoints/best"), weights(out / "checkpoints/last")
    for name, value in before.items():
        if name.startswith("domain/"):
            assert torch.equal(after[name], value), name
    assert not torch.equal(
        after["encoder/first.norm.running_mean"], before["encoder/first.norm.running_mean"]
    ), "the encoder hears the target's batches"


def test_a_refresh_unfreezes_and_refreezes() -> None:
    nets, config = networks(), TagConfig(refresh_every=4, refresh_steps=2, lr=0.01)
    freeze(nets.domain)
    optimizer = tagger_optimizer(nets, config)
    moved = []
    for step in range(8):
        learns = stage3.refreshes(step, config)
        set_learning(nets.domain, learns, World())
        before = snapshot(nets.domain)
        losses = losses_of(nets, config, 0.1, learns=learns)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        changed = {n for n, v in snapshot(nets.domain).items() if not torch.equal(v, before[n])}
        moved.append(len(changed))
        assert nets.domain.training is learns
        assert changed in ({*before}, set()), "all of it or nothing"
    assert [bool(n) for n in moved] == [True, True, False, False] * 2


# ---- what is heard ---------------------------------------------------------------


def check_domains(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Every batch that stages 2 and 3 hear: source all clean, target all noisy."""
    heard: list[tuple[str, bool]] = []
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    refs = {ref.key: str(ref.domain) for ref in load_refs(load_set(str(suite / "train")))}
    with spied_batches(heard, refs):
        run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, *FEW)
    assert set(heard) == {("source", False), ("target", True)}


@contextmanager
def spied_batches(heard: list[tuple[str, bool]], refs: dict[str, str]) -> Iterator[None]:
    import trainer.data.loader as loader

    real = loader.Loader._checked

    def checked(self: Any, *arguments: Any) -> Any:
        for one in real(self, *arguments):
            for key, noisy in zip(one.keys, one.views[0].is_noisy.tolist(), strict=True):
                if key in refs:
                    heard.append((refs[key], noisy))
            yield one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader.Loader, "_checked", checked)
        yield


def spy_on_members(patch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Note corpus, half and name of every member that is opened."""
    opened: list[tuple[str, str, str]] = []
    real = members.check_member

    def check(block: bytes, n_bytes: int, ref: Any, member: Any) -> None:
        opened.append((ref.song.split(":")[0], str(ref.domain), member.name))
        real(block, n_bytes, ref, member)

    patch.setattr(members, "check_member", check)
    return opened


CLEAN = {"clean"}
NOISY = {"noisy.snr_10", "noisy.snr_0", "noisy.snr_-10"}
OPENED = {
    "dat": (CLEAN, NOISY),
    "baseline": (CLEAN, set()),
    "supervised": (CLEAN, NOISY),
    "full-clean": (CLEAN, CLEAN),
    "labelled-noise": (CLEAN | NOISY, set()),
    "adabn": (CLEAN, NOISY),
    "consistency": (CLEAN | NOISY, set()),
    "robust": (CLEAN | NOISY, CLEAN | NOISY),
}  # fmt: skip


@pytest.mark.parametrize("method", OPENED)
def test_a_spy_sees_what_each_half_may_give(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The table of DESIGN section 6; stage 1 was given and opens its own set."""
    opened = spy_on_members(monkeypatch)
    options = (*(DAT if method == "dat" else COMPARISON), *FEW)
    run_well(method, "--shards", suite, "--out", tmp_path, "--encoder", dat_run, *options)
    halves = [
        {n for c, d, n in opened if (c, d) == ("train", half)} for half in ("source", "target")
    ]
    source, target = OPENED[method]
    assert halves[1] <= target and bool(halves[1]) == bool(target)
    assert (
        halves[0] <= source
        and bool(halves[0] & CLEAN)
        and bool(halves[0] & NOISY) == bool(source & NOISY)
    )


@pytest.mark.parametrize(
    ("method", "same"), [("dat", True), ("adabn", True), ("robust", True), ("supervised", False)]
)
def test_permuting_target_tags_changes_only_who_may_read_them(
    suite: Path, dat_run: Path, tmp_path: Path, method: str, same: bool
) -> None:
    other = tmp_path / "train"
    write_set(str(other), n_songs=8, tags=song_tags(1, of_targets_only=True), **TRAIN_SET)
    for name, train in (("a", suite / "train"), ("b", other)):
        sets = ("--shards", suite, "--set", f"train={train}")
        out = ("--out", tmp_path / name, "--encoder", dat_run)
        run_well(method, *sets, *out, *(DAT if method == "dat" else COMPARISON), *FEW)
    pair = (tmp_path / "b" / "checkpoints" / "last", tmp_path / "a" / "checkpoints" / "last")
    if same:
        assert_same_weights(*pair)
    else:
        with pytest.raises(AssertionError):
            assert_same_weights(*pair)


def test_no_song_is_in_both_halves(suite: Path) -> None:
    for name in ("train", "pretrain-train"):
        shard_set = load_set(str(suite / name))
        songs = [{r.song for r in load_refs(shard_set, domain=d)} for d in ("source", "target")]
        assert songs[0] and songs[1] and not songs[0] & songs[1]


# ---- what is scored --------------------------------------------------------------


class Ear(nn.Module):
    """An encoder that hears how loud a chunk is, and a predictor that says so."""

    chunk_samples = CHUNK_SAMPLES

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        self.heard.append(len(audio))
        return audio.square().mean(dim=(1, 2))[:, None]


def check_all_chunks(tmp_path: Path) -> None:
    """Validation hears every whole chunk of every member, not the first of each."""
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    n_samples = 3 * CHUNK_SAMPLES + 500
    shard_set = write_set(
        str(folder), n_songs=4, excerpts=1, n_samples=n_samples, snrs_db=(0.0,), halves=False,
        codec="wav",
    )  # fmt: skip
    ear = Ear()
    TagValidation(shard_set, TAGS)(
        ear, nn.Linear(1, len(TAGS)), device=torch.device("cpu"), prepare=lambda x: x,
        autocast=torch.no_grad,
    )  # fmt: skip
    assert sum(ear.heard) == 4 * 2 * 3


# ---- faults, planted ---------------------------------------------------------------


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


# ---- overshoot -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracies", "batch_size", "warned"),
    [
        ([0.39] * 10, 96, True),
        ([0.41] * 10, 96, False),
        ([0.19, 0.59] * 5, 96, True),
        ([0.39], 8, False),  # three of eight: a coin does that
        ([0.39] * 10, 8, False),  # 31 of 80: less than three standard errors below 40
        ([0.39] * 30, 8, True),
    ],
)
def test_overshoot_is_warned_of(
    caplog: pytest.LogCaptureFixture, accuracies: list[float], batch_size: int, warned: bool
) -> None:
    warn_of_overshoot([torch.tensor(one) for one in accuracies], batch_size, 7)
    text = "dat step 7: the domain classifier is right on 39 % of what it heard, below chance"
    assert (text in caplog.text) == warned and ("--domain-loss confusion" in caplog.text) == warned


def test_a_swap_at_the_end_is_not_excused_by_the_beginning(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = list[tuple[int, int]]()
    monkeypatch.setattr(stage3, "OVERSHOOT_BATCHES", 2)
    monkeypatch.setattr(
        stage3, "warn_of_overshoot", lambda found, size, step: looked_at.append((len(found), size))
    )
    run_well("dat", "--shards", suite, "--out", tmp_path, "--encoder", dat_run, *DAT)
    assert looked_at == [(2, 8), (2, 8)], "the newest two batches, both halves of four"


def test_a_run_that_overshoots_says_so(
    suite: Path, dat_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    run_well(
        "dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, "--valid-limit", "2",
        "--classifier-epochs", "4", "--classifier-lr", "3e-2",
        "--epochs", "6", "--lr", "1e-2", "--lambda", "20", "--alpha", "constant",
    )  # fmt: skip
    assert values(out, "train/domain_accuracy")[-1] < 0.2, "confidently wrong"
    assert "the encoder has swapped the domains instead of mixing them" in caplog.text


def test_views_of_the_readings() -> None:
    """The planted faults above stand on these: what they swap is what they seem to."""
    assert (UNLABELLED_CLEAN.views, UNLABELLED_NOISY.views) == ((View.CLEAN,), (View.NOISY,))
    assert LABELLED_CLEAN.tags and not UNLABELLED_NOISY.tags
    assert new_encoder(ModelConfig(width=0.03)).n_features == 15 and SAMPLES > CHUNK_SAMPLES
