"""``--aggregate attention`` from training to the table, on a small suite with three-chunk clips."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_resume import plain
from tiny_interrupt import KilledError, interrupt
from tiny_ranks import run_ranks
from tiny_sets import TAGS, music_and_noise, write_set
from tiny_suite import (
    COMPARISON,
    DAT,
    RUNGS_DB,
    SET,
    assert_same_weights,
    run,
    run_well,
    values,
    weights,
)

import trainer.keeper
from manifests.errors import ManifestError, UsageError
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import load_set
from trainer.adabn import average_from_here
from trainer.audio_files import file_chunks
from trainer.bags import Bags, chosen_bags, encode_bags, steps_per_epoch
from trainer.compute import Compute
from trainer.config import METHODS, PoolingConfig, SystemConfig, TrainConfig
from trainer.data import clip_refs, iter_clips
from trainer.data.members import ShardReader
from trainer.evaluation.score_file import load_score_file
from trainer.experiment import train_run
from trainer.keeper import Keeper
from trainer.models.pooling import AttentionPooling
from trainer.presets import preset_config
from trainer.roles import Roles, open_roles
from trainer.runs.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from trainer.runs.distributed import World
from trainer.runs.folder import read_config
from trainer.runs.metrics_log import read_records
from trainer.stage4_pooling import BagValidation, bag_refs
from trainer.tagger import load_tagger
from trainer.validation import TagValidation

CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0, compile="off"))
LONG = {**SET, "n_samples": 3 * CHUNK_SAMPLES + 99}
POOLING = ("--aggregate", "attention", "--pooling-epochs", "3", "--pooling-batch-size", "3",
           "--pooling-validations", "2", "--pooling-hidden", "7")  # fmt: skip
N_STEPS = 3 * (4 // 3)
"""Four source clips of the baseline are four bags: one step an epoch."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite to train, choose and evaluate on; read only."""
    folder = tmp_path_factory.mktemp("clips")
    sets: dict[str, dict[str, Any]] = {
        "train": {"n_songs": 8, "corpus": "train"},
        "valid": {"n_songs": 6, "corpus": "valid", "halves": False},
        "test-musan": {"n_songs": 6, "corpus": "test", "halves": False},
    }
    for role, options in sets.items():
        write_set(str(folder / role), name=role, **{**LONG, **options})
    (folder / "suite.json").write_text(json.dumps({role: role for role in sets}))
    return folder


@pytest.fixture(scope="module")
def shared(clips: Path, dat_run: Path) -> tuple[object, ...]:
    """A baseline whose stage 1 is given."""
    return ("baseline", "--shards", clips, "--encoder", dat_run, *COMPARISON)


@pytest.fixture(scope="module")
def attending(shared: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with attention; read only."""
    out = tmp_path_factory.mktemp("runs") / "attending"
    run_well(*shared, *POOLING, "--out", out)
    return out


@pytest.fixture(scope="module")
def partial(attending: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with a tagger that hears differences and an attention that prefers chunks."""
    folder = tmp_path_factory.mktemp("runs") / "partial"
    shutil.copytree(attending, folder)
    tagger = load_tagger(attending, "attention")
    assert tagger.pooling is not None
    heard = np.stack([np.float32(sum(music_and_noise(CHUNK_SAMPLES, n))) for n in range(8)])
    average_from_here(tagger.encoder, forget=True)
    with torch.no_grad():
        tagger.encoder.train()(tagger.prepare(torch.from_numpy(heard)[:, None]))
        tagger.predictor.layers[2].weight.mul_(10.0)
        torch.manual_seed(3)
        torch.nn.init.normal_(tagger.pooling.score.weight, std=10.0)
    own = {"encoder": tagger.encoder, "predictor": tagger.predictor}
    for place, modules in ((folder, own), (folder / "pooling", own | {"pooling": tagger.pooling})):
        card = load_checkpoint(place / "checkpoints/best").progress
        save_checkpoint(place / "checkpoints/best", TrainingState(modules), card)
    return folder


@pytest.fixture
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(trainer.keeper, "LOG_EVERY", 1)


# ---- training ---------------------------------------------------------------------------


def test_a_stage_of_its_own_behind_the_same_tagger(
    shared: tuple[object, ...], attending: Path, tmp_path: Path
) -> None:
    out = tmp_path / "attending"
    run_well(*shared, "--out", out)
    for name in ("best", "last"):
        assert_same_weights(attending / "checkpoints" / name, out / "checkpoints" / name)
    assert (attending / "config.json").read_bytes() == (out / "config.json").read_bytes()
    assert plain(attending) == plain(out)
    stage = attending / "pooling"
    assert read_config(stage) == read_config(out) | {
        "pooling": {"aggregate": "attention", "epochs": 3, "batch_size": 3, "lr": 1e-3,
                    "hidden": 7, "limit": 0, "validations": 2},
    }  # fmt: skip
    last, best = (load_checkpoint(stage / "checkpoints" / name) for name in ("last", "best"))
    assert last.progress["done"] and last.progress["n_steps"] == N_STEPS
    assert last.progress["begins_with"] == load_tagger(out).sha256
    assert last.progress["method"] == "baseline" and last.progress["tags"] == list(TAGS)
    assert not best.optimizer
    assert any((stage / "tensorboard" / "pooling").iterdir())


def test_encoder_and_predictor_stay_and_the_attention_learns(attending: Path) -> None:
    before = weights(attending / "checkpoints/best")
    after = weights(attending / "pooling/checkpoints/last")
    assert any("running_mean" in name for name in before)
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    own = {name: after[name] for name in after.keys() - before.keys()}
    assert {name.split("/")[0] for name in own} == {"pooling"}
    assert own["pooling/score.weight"].any()


def test_the_mean_is_validated_first_and_the_best_is_no_worse(attending: Path) -> None:
    records = read_records(attending / "pooling/metrics.jsonl")
    scored = [r["step"] for r in records if "valid/score" in r]
    assert scored == [0, 2, 3] and {r["stage"] for r in records} == {"pooling"}
    assert {"train/loss", "train/lr", "train/examples_per_s"} <= records[-2].keys()
    scores = values(attending / "pooling", "valid/score")
    found = load_checkpoint(attending / "pooling/checkpoints/best").progress["best"]
    assert found == max(scores)


def test_validation_of_bags_is_that_of_the_tagger(clips: Path, partial: Path) -> None:
    """At the mean, the figures of the tagger's own stage."""
    tagger, config = load_tagger(partial), config_of("baseline")
    validation = BagValidation(open_roles(str(clips)), config, tagger, CPU)
    found = validation(AttentionPooling(tagger.encoder.n_features, len(TAGS)), CPU.device)
    expected = TagValidation(load_set(str(clips / "valid")), TAGS)(
        tagger.encoder, tagger.predictor, device=CPU.device, prepare=tagger.prepare,
        autocast=nullcontext,
    )  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-12)
    assert found.keys() == {f"auc_{n}" for n in ("clean", "snr_10", "snr_0", "snr_-10", "mean")}
    attention = load_tagger(partial, "attention").pooling
    assert attention is not None and validation(attention, CPU.device) != found


def test_it_may_be_added_to_a_finished_run(
    shared: tuple[object, ...], attending: Path, tmp_path: Path
) -> None:
    out = tmp_path / "attending"
    run_well(*shared, "--out", out)
    result = run_well(*shared, *POOLING, "--out", out)
    assert "baseline: step" not in result.output and "pooling: step 3/3" in result.output
    for name in ("best", "last"):
        checkpoint = Path("pooling/checkpoints") / name
        assert_same_weights(out / checkpoint, attending / checkpoint)
    again = run_well(*shared, *POOLING, "--out", out)
    assert "step" not in again.output, "a finished run trains nothing"
    run_well(*shared, "--out", out)
    other = (*shared, *POOLING, "--pooling-lr", "0.1", "--out", out)
    refused = run(*other)
    assert refused.exit_code == 2 and "pooling.lr: has 0.001, asked for 0.1" in refused.output
    saved = (out / "checkpoints/last/state.json").stat().st_mtime_ns
    run_well(*other, "--overwrite")
    assert (out / "checkpoints/last/state.json").stat().st_mtime_ns == saved, "the tagger stays"
    assert read_config(out / "pooling")["pooling"]["lr"] == 0.1


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.usefixtures("save_often")
def test_a_stopped_run_ends_with_the_same_bits(
    shared: tuple[object, ...], attending: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:  # fmt: skip
    shutil.copytree(attending, tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole/pooling")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    run_well(*shared, *POOLING, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, "pooling", step)
        run(*shared, *POOLING, "--out", tmp_path / "cut")
    run_well(*shared, *POOLING, "--out", tmp_path / "cut", "--resume")
    whole, cut = tmp_path / "whole/pooling", tmp_path / "cut/pooling"
    for name in ("best", "last"):
        assert_same_weights(cut / "checkpoints" / name, whole / "checkpoints" / name)
    assert plain(cut) == plain(whole)


@pytest.mark.usefixtures("save_often")
def test_a_kill_before_the_first_checkpoint_leaves_no_record_twice(
    shared: tuple[object, ...], attending: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    shutil.copytree(attending, out)
    shutil.rmtree(out / "pooling")

    def save(self: Keeper, step: int) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Keeper, "save", save)
        run(*shared, *POOLING, "--out", out)
    assert [r["step"] for r in read_records(out / "pooling/metrics.jsonl")] == [0]
    run_well(*shared, *POOLING, "--out", out)
    assert [r["step"] for r in read_records(out / "pooling/metrics.jsonl")].count(0) == 1
    assert_same_weights(out / "pooling/checkpoints/last", attending / "pooling/checkpoints/last")


@pytest.mark.slow
def test_two_ranks_train_as_one(
    shared: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ranks encode half of the clips each, and take half of a step's bags of one process."""
    one, two = tmp_path / "one", tmp_path / "two"
    command = [*shared, "--batch-size", "2", *POOLING, "--pooling-batch-size"]
    run_ranks([*command, "2", "--out", two])
    shutil.copytree(two, one)
    shutil.rmtree(one / "pooling")
    monkeypatch.setattr("trainer.experiment.train_comparison", lambda *_: None)
    run_well(*command, "4", "--out", one)
    ours, theirs = (weights(out / "pooling/checkpoints/last") for out in (two, one))
    assert theirs["pooling/score.weight"].any()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5)
    for name in ("valid/score", "valid/auc_clean"):
        assert len(values(two / "pooling", name)) == len(values(one / "pooling", name)) == 3


# ---- what is heard ----------------------------------------------------------------------

NOISY = tuple(f"noisy.snr_{snr:g}" for snr in RUNGS_DB)
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


def config_of(method: str, **options: Any) -> TrainConfig:
    config = preset_config("demo", method)  # type: ignore[arg-type]
    pooling = PoolingConfig("attention", batch_size=2, **options)
    return replace(config, pooling=pooling)


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


# ---- bags -------------------------------------------------------------------------------


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


# ---- use --------------------------------------------------------------------------------


def weighted(tagger: Any, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and attention's scores of a file's chunks, from the equation."""
    with torch.no_grad():
        h = tagger.encoder(tagger.prepare(torch.from_numpy(chunks)))
        p = tagger.predictor(h).sigmoid().double()
        head = tagger.pooling
        hidden = torch.tanh(head.content(h)) * torch.sigmoid(head.gate(h))
        softmax = torch.softmax((hidden @ head.score.weight.T).double(), dim=0)
    return p.mean(dim=0).numpy(), (softmax * p).sum(dim=0).numpy()


def test_evaluate_scores_with_both(clips: Path, partial: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "partial"
    shutil.copytree(partial, run_folder)
    command = ("evaluate", "--checkpoint", run_folder, "--shards", clips / "test-musan")
    shown = [run_well(*command, *more).stdout for more in ((), ("--aggregate", "attention"))]
    assert shown[0].startswith("partial on test-musan: 6 clips")
    assert shown[1].startswith("partial (attention) on test-musan: 6 clips")
    names = {path.name for path in (run_folder / "evaluation").iterdir()}
    assert names == {
        f"{stem}{end}"
        for stem in ("test-musan", "test-musan.attention")
        for end in (".scores", ".scores.parquet", ".embeddings.safetensors")
    } | {"evaluation.json", "evaluation.attention.json"}
    files = {}
    for aggregate, stem in (("mean", "test-musan"), ("attention", "test-musan.attention")):
        file, table = load_score_file(str(run_folder / "evaluation" / f"{stem}.scores"))
        assert file.run.aggregate == aggregate and file.run.name == "partial"
        assert ("attention" in file.metric.clip_score) == (aggregate == "attention")
        files[aggregate] = (file, table)
    mean, attention = files["mean"][0], files["attention"][0]
    assert mean.run.config_sha256 != attention.run.config_sha256
    tagger = load_tagger(run_folder, "attention")
    assert attention.checkpoint_sha256 == tagger.sha256 != mean.checkpoint_sha256
    refs = clip_refs(load_set(str(clips / "test-musan")), ("clean", *NOISY))
    for row, clip in enumerate(iter_clips(refs)):
        for member, chunks in clip.chunks.items():
            expected = weighted(tagger, chunks.numpy())
            for (_, table), scores in zip(files.values(), expected, strict=True):
                np.testing.assert_allclose(table.scores[member][row], scores, atol=1e-5)
    apart = files["mean"][1].scores["clean"] - files["attention"][1].scores["clean"]
    assert np.abs(apart).max() > 0.01
    agreement = [file.figures.noise[0].consistency for file in (mean, attention)]
    assert agreement[0] and agreement[1]
    assert agreement[0].cosine_twin == agreement[1].cosine_twin, "embeddings are means for both"


def test_the_table_names_both_and_the_mean_is_the_baseline(
    clips: Path, partial: Path, tmp_path: Path
) -> None:
    run_folder = tmp_path / "partial"
    shutil.copytree(partial, run_folder)
    for more in ((), ("--aggregate", "attention")):
        run_well(
            "evaluate", "--checkpoint", run_folder, "--shards", clips / "test-musan", *more
        )  # fmt: skip
    result = run_well("compare", run_folder, "--out", tmp_path / "table")
    rows = [line for line in result.output.splitlines() if line.startswith("partial")]
    assert [line[:20].strip() for line in rows[:2]] == ["partial", "partial (attention)"]
    assert "paired difference to partial (" in result.output
    assert (tmp_path / "table" / "training-partial.png").is_file()
    costs = json.loads((tmp_path / "table" / "table.json").read_text())["costs"]
    more = costs[1]["n_parameters"] - costs[0]["n_parameters"]
    head = load_tagger(partial, "attention").pooling
    assert head is not None and more == sum(p.numel() for p in head.parameters())


def test_the_mean_of_a_run_with_attention_is_a_mean_runs(
    shared: tuple[object, ...], clips: Path, attending: Path, tmp_path: Path
) -> None:
    """One tagger, one row: not two configurations of the same thing."""
    plain_run, run_folder = tmp_path / "attending", tmp_path / "again" / "attending"
    run_well(*shared, "--out", plain_run)
    shutil.copytree(attending, run_folder)
    texts = []
    for folder in (plain_run, run_folder, run_folder / "pooling"):
        out = tmp_path / f"scores{len(texts)}"
        run_well(
            "evaluate", "--checkpoint", folder, "--shards", clips / "test-musan", "--out", out
        )  # fmt: skip
        texts.append(json.loads((out / "test-musan.scores").read_text()))
    assert texts[0] == texts[1]
    assert texts[2] == texts[0] | {"checkpoint_sha256": texts[2]["checkpoint_sha256"]}


def test_tag_with_both_on_a_long_file(partial: Path, tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "song.wav"
    sound = np.concatenate([sum(music_and_noise(CHUNK_SAMPLES, n)) for n in range(5)])
    soundfile.write(path, 0.3 * sound, SAMPLE_RATE)
    tagger = load_tagger(partial, "attention")
    expected = weighted(tagger, np.concatenate(list(file_chunks(str(path), tagger))))
    found = []
    for aggregate, scores in zip(("mean", "attention"), expected, strict=True):
        command = ("tag", path, "--checkpoint", partial, "--json", "--aggregate", aggregate)
        own = json.loads(run_well(*command).output)[str(path)]
        np.testing.assert_allclose([own[tag] for tag in TAGS], scores, atol=1e-4)
        found.append(own)
    assert found[0] != found[1]
    assert json.loads(run_well(*command[:-2]).output)[str(path)] == found[0], "the default"


def test_embed_and_a_student_take_the_tagger_behind(partial: Path, tmp_path: Path) -> None:
    import soundfile

    from trainer.teacher import load_teacher

    path = tmp_path / "song.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(200_000), SAMPLE_RATE)
    run_well("embed", path, "--checkpoint", partial, "-o", tmp_path / "e.npz")
    assert load_teacher(partial, TAGS, CPU).tagger.pooling is None


@pytest.mark.slow
def test_a_grid_scores_its_runs_with_both(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    rows = tmp_path / "rows.toml"
    weighed = '[weighed]\nmethod = "baseline"\naggregate = "attention"\npooling-batch-size = 3\n'
    rows.write_text(f'{weighed}[random]\nmethod = "baseline"\nencoder = "random"\n')
    command = ("grid", "--shards", clips, "--out", out, "--rows", rows, *COMPARISON)
    result = run_well(*command)
    names = {line.split("  ")[0] for line in result.output.splitlines()}
    assert {"weighed-s0", "weighed-s0 (attention)", "random-s0"} <= names
    assert (out / "weighed-s0/pooling").is_dir() and not (out / "random-s0/pooling").exists()
    again = run_well(*command)
    assert "step" not in again.output, "a finished grid trains and scores nothing"
    rows.write_text(f'{weighed}[plain]\nmethod = "baseline"\n')
    refused = run(*command)
    assert refused.exit_code == 2
    assert "got [weighed] and [plain] with the same tagger; one of them will" in refused.output


# ---- wrong use --------------------------------------------------------------------------


def test_wrong_use(
    shared: tuple[object, ...], clips: Path, dat_run: Path, attending: Path, tmp_path: Path
) -> None:
    attention, out = ("--aggregate", "attention"), ("--out", tmp_path / "out")
    on_set = ("--shards", clips / "test-musan")
    without = f"expected a run with trained attention, got {dat_run} without; run its command again"
    for command, text in (
        (("evaluate", "--checkpoint", dat_run, *on_set, *attention), without),
        (("tag", "x.wav", "--checkpoint", dat_run, *attention), without),
        (("export", "--checkpoint", dat_run, "-o", tmp_path / "x", *attention), without),
        (
            ("evaluate", "--checkpoint", attending / "checkpoints/best", *on_set, *attention),
            "expected a run with trained attention",
        ),
        (
            ("evaluate", "--checkpoint", attending, *on_set, *attention, "--random-encoder", *out),
            "--random-encoder: expected --aggregate mean; it has no attention",
        ),
        (("tag", "x.wav", "--checkpoint", attending, "--aggregate", "max"), "'max' is not one of"),
        ((*shared, *POOLING, "--pooling-batch-size", "5", *out), "expected at most 4 for 4 bags"),
        ((*shared, *POOLING, "--pooling-hidden", "0", *out), "0 is not in the range 1<=x<=4096"),
        (
            ("dat", "--shards", clips, *DAT, *attention, "--stage", "2", *out),
            "--aggregate attention: expected --stage 3, which trains the tagger, got --stage 2",
        ),
    ):
        result = run(*command)
        assert result.exit_code == 2 and text in result.output, (command, result.output)
        assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists(), "said before anything is written"


def test_a_set_without_the_half_is_refused_first(dat_run: Path, tmp_path: Path) -> None:
    config = replace(config_of("baseline"), encoder_init="random")
    with pytest.raises(UsageError, match="expected a set with the role train, got none"):
        train_run(config, Roles({}), tmp_path / "run", CPU)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            {"hidden": 10**9},
            "expected an attention with a hidden layer of 1 to 4,096, got {'hidden",
        ),
        ({"hidden": True}, "a hidden layer of 1 to 4,096, got {'hidden': True}"),
        ({"hidden": "7"}, "a hidden layer of 1 to 4,096, got {'hidden': '7'}"),
        ({}, "a hidden layer of 1 to 4,096, got {}"),
        (7, "a hidden layer of 1 to 4,096, got 7"),
        ({"hidden": 8}, "pooling"),
    ],
)
def test_cards_of_strangers(attending: Path, tmp_path: Path, card: object, message: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending / "pooling", copy)
    state = copy / "checkpoints/best/state.json"
    record = json.loads(state.read_text())
    record["progress"]["pooling"] = card
    del record["sha256"]
    state.write_text(json.dumps(record))
    with pytest.raises(ManifestError, match=message):
        load_tagger(copy, "attention")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("pooling/score.weight"), r"1 missing \(score.weight\)"),
        (lambda w: w.update({"pooling/evil": torch.zeros(1)}), r"1 others \(evil\)"),
        (lambda w: w.update({"pooling/score.weight": torch.zeros(5, 7)}), r"got \(5, 7\)"),
        (
            lambda w: [w.pop(name) for name in list(w) if name.startswith("pooling/")],
            "expected the weights of pooling, got encoder, predictor",
        ),
    ],
)
def test_weights_of_strangers(attending: Path, tmp_path: Path, change: Any, message: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending / "pooling", copy)
    rewrite(copy / "checkpoints/best", change)
    with pytest.raises(ManifestError, match=message):
        load_tagger(copy, "attention")


def rewrite(checkpoint: Path, change: Any) -> None:
    """Change the tensors of a checkpoint, its hash with them."""
    import hashlib

    path, state = checkpoint / "weights.safetensors", checkpoint / "state.json"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    record = json.loads(state.read_text())
    record["files"]["weights.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    del record["sha256"]
    state.write_text(json.dumps(record))


def test_weights_that_are_no_numbers(attending: Path, clips: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending, copy)

    def poison(tensors: dict[str, torch.Tensor]) -> None:
        tensors["pooling/score.weight"][0, 0] = torch.nan

    rewrite(copy / "pooling/checkpoints/best", poison)
    write_set(str(tmp_path / "real"), name="real", **{**LONG, "n_songs": 2, "halves": False})
    command = ("evaluate", "--checkpoint", copy, "--shards", tmp_path / "real")
    result = run(*command, "--aggregate", "attention")
    assert result.exit_code == 1
    assert "expected finite weights of the chunks, got others" in result.output
    run_well(*command)
