"""Bags of the attention: what is heard in them, what they hold, and who takes which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_attention import CPU, NOISY, POOLING, config_of
from tiny_sets import TAGS
from tiny_suite import DAT, run_well

from manifests.errors import UsageError
from manifests.shardset import load_set
from trainer.bags import Bags, chosen_bags, encode_bags, steps_per_epoch
from trainer.config import METHODS, TrainConfig
from trainer.data import clip_refs, iter_clips
from trainer.data.members import ShardReader
from trainer.roles import open_roles
from trainer.runs.distributed import World
from trainer.stage4_pooling import bag_refs
from trainer.tagger import load_tagger

HEARD: dict[str, dict[str, tuple[str, ...]]] = {
    "baseline": {"source": ("clean",)},
    "supervised": {"source": ("clean",), "target": NOISY},
    "full-clean": {"source": ("clean",), "target": ("clean",)},
    "labelled-noise": {"source": ("clean", *NOISY)},
    "adabn": {"source": ("clean",)},
    "consistency": {"source": ("clean",)},
    "dat": {"source": ("clean",)},
    "robust": {"source": ("clean", *NOISY)},
    "noisy-student": {"source": ("clean",)},
}


def heard(clips: Path, config: TrainConfig) -> dict[str, tuple[str, ...]]:
    """Members of the bags by half; every clip of a half has the same."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for ref in bag_refs(open_roles(str(clips)), config, World()):
        members = tuple(member.name for member in ref.members)
        found.setdefault(str(ref.domain), set()).add(members)
        assert ref.tags
    return {half: members for half, (members,) in found.items()}


@pytest.mark.parametrize("method", METHODS)
def test_bags_are_what_the_tag_loss_hears(clips: Path, method: str) -> None:
    assert heard(clips, config_of(method)) == HEARD[method]


def test_noisy_tags_are_read_where_they_are_learnt_only(clips: Path) -> None:
    dat, student = config_of("dat"), config_of("noisy-student")
    tagger = replace(dat.tagger, consistency="embedding")
    assert heard(clips, replace(dat, tagger=tagger)) == {"source": ("clean",)}
    tagger = replace(dat.tagger, labelled_noise=True)
    assert heard(clips, replace(dat, tagger=tagger)) == {"source": ("clean", *NOISY)}
    hears = replace(student.student, labelled_hears="student")
    assert heard(clips, replace(student, student=hears)) == {"source": NOISY}
    hears = replace(hears, student_hears="augmented")
    assert heard(clips, replace(student, student=hears)) == {"source": ("clean",)}


def test_noise_is_heard_at_the_stored_snrs_of_the_run(clips: Path) -> None:
    config = config_of("labelled-noise")
    snr = replace(config.snr, low_db=-5.0)
    assert heard(clips, replace(config, snr=snr)) == {"source": ("clean", *NOISY[:2])}
    snr = replace(snr, low_db=2.0, high_db=8.0)
    with pytest.raises(UsageError, match="expected a stored SNR from 2 to 8 dB, got 10, 0, -10 dB"):
        heard(clips, replace(config, snr=snr))


def test_a_limit_takes_the_first_clips_of_each_half(clips: Path) -> None:
    refs = bag_refs(open_roles(str(clips)), config_of("supervised", limit=2), World())
    assert [ref.domain for ref in refs] == ["source"] * 2 + ["target"] * 2


def test_dat_opens_no_target_example_and_reads_no_tag_of_one(
    clips: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spied on at the reader, which all that decodes goes through."""
    opened = set[str]()
    real = ShardReader.read

    def read(self: ShardReader, wanted: Any) -> Any:
        opened.update(
            f"{ref.domain} {name}" for ref, names in wanted for name in names
            if ref.set_url.endswith("/train")
        )  # fmt: skip
        return real(self, wanted)

    out, command = tmp_path / "run", ("dat", "--shards", clips, "--encoder", dat_run, *DAT)
    run_well(*command, "--out", out)
    monkeypatch.setattr(ShardReader, "read", read)
    roles = open_roles(str(clips))
    stages: list[str] = []
    monkeypatch.setattr("trainer.experiment.train_domain", lambda *_: stages.append("2"))
    monkeypatch.setattr("trainer.experiment.train_dat", lambda *_: stages.append("3"))
    run_well(*command, *POOLING, "--out", out)
    assert stages == ["2", "3"] and opened == {"source clean"}
    assert roles.open("train").index.snrs_db


def test_bags_hold_what_the_tagger_says_of_each_chunk(clips: Path, partial: Path) -> None:
    tagger = load_tagger(partial)
    refs = clip_refs(load_set(str(clips / "test-musan")), ("clean", "noisy.snr_0"))
    bags = encode_bags(refs, tagger, CPU)
    assert len(bags) == 12 and bags.lengths.tolist() == [3] * 12
    number = 0
    for clip in iter_clips(refs):
        for chunks in clip.chunks.values():
            probabilities, embeddings = tagger.predict(CPU.device)(chunks.numpy())
            batch = bags.batch(torch.tensor([number]), CPU.device)
            np.testing.assert_allclose(batch.probabilities[0], probabilities, atol=1e-6)
            np.testing.assert_allclose(batch.embeddings[0], embeddings, atol=1e-5)
            assert [bool(x) for x in batch.tags[0]] == [tag in clip.ref.tags for tag in TAGS]
            number += 1


def test_a_batch_pads_to_its_longest_bag() -> None:
    rows = torch.arange(12.0).reshape(6, 2)
    bags = Bags(rows, rows[:, :1], torch.tensor([1, 3, 2]), torch.eye(3))
    batch = bags.batch(torch.tensor([2, 0]), CPU.device)
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert batch.embeddings.tolist() == [[[8.0, 9.0], [10.0, 11.0]], [[0.0, 1.0], [0.0, 0.0]]]
    assert batch.probabilities.tolist() == [[[8.0], [10.0]], [[0.0], [0.0]]]
    assert batch.tags.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_a_pass_takes_each_bag_once_and_ranks_share_a_step() -> None:
    one = [chosen_bags(12, 4, step, seed=5, world=World()) for step in range(6)]
    passes = [torch.cat(one[:3]).tolist(), torch.cat(one[3:]).tolist()]
    assert all(sorted(order) == list(range(12)) for order in passes) and passes[0] != passes[1]
    ranks = [chosen_bags(12, 2, 4, seed=5, world=World(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat(ranks), one[4])
    assert not torch.equal(chosen_bags(12, 4, 0, seed=6, world=World()), one[0])
    assert steps_per_epoch(11, 4, World()) == 2
    with pytest.raises(UsageError, match="--pooling-batch-size: expected at most 5 for 11 bags on"):
        steps_per_epoch(11, 6, World(0, 2))
