"""Every command with every backbone, on chunks of 1.2 s and networks of a few thousand weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_backbones import CHUNK_S, MEL, edit_card, options
from tiny_interrupt import KilledError, interrupt
from tiny_ranks import run_ranks
from tiny_sets import TAGS, music_and_noise
from tiny_suite import COMPARISON, DAT, assert_same_weights, run, run_well, values, weights

from manifests.extras import how_to_install
from trainer import keeper
from trainer.adabn import average_from_here
from trainer.config import ModelConfig
from trainer.evaluation.score_file import load_score_file
from trainer.export import export_tagger
from trainer.models.registry import new_encoder
from trainer.runs.checkpoint import load_checkpoint
from trainer.tagger import Tagger, load_tagger

CHUNK = 26_460
BRIEF = (
    "--encoder-epochs", "1", "--classifier-epochs", "1", "--classifier-validations", "1",
    "--epochs", "1", "--validations", "1",
)  # fmt: skip


@pytest.fixture(scope="module", params=MEL)
def mel_run(
    request: pytest.FixtureRequest, suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of all three stages; the transformer's with augmentation and a timed precision."""
    out = tmp_path_factory.mktemp("mel") / str(request.param)
    more: tuple[str, ...] = ()
    if request.param == "transformer":
        more = ("--augment", "--precision", "auto", "--attention-dim", "64")
    run_well("dat", "--shards", suite, "--out", out, *DAT, *BRIEF, *options(request.param), *more)
    return out


@pytest.fixture(scope="module")
def lively(mel_run: Path) -> Tagger:
    """Its tagger, made to hear differences, which two steps of training do not make."""
    one = load_tagger(mel_run)
    average_from_here(one.encoder, forget=True)
    with torch.no_grad():
        one.encoder.train()(one.prepare(torch.from_numpy(chunks())))
        one.predictor.layers[2].weight.mul_(10.0)
    one.encoder.eval()
    return one


def chunks() -> np.ndarray:
    """Chords, noise, silence and a quiet chunk, (5, 1, 26,460).

    The chords have a floor of noise, as all recordings: the empty bands of pure tones are below
    what an FFT in float32 resolves, so their decibels differ from one FFT to the next.
    """
    music, noise = music_and_noise(CHUNK, 3)
    chords = music + 0.01 * noise
    rows = [chords, noise, music + noise, np.zeros(CHUNK), 0.03 * chords]
    return np.stack(rows)[:, None].astype(np.float32)


def test_all_stages_and_all_that_reads_them(mel_run: Path, suite: Path, tmp_path: Path) -> None:
    for folder, stage in (("encoder", "encoder"), ("domain", "domain"), ("", "dat")):
        card = load_checkpoint(mel_run / folder / "checkpoints" / "best").progress
        assert card["stage"] == stage
        assert (card["model"]["backbone"], card["model"]["chunk_s"]) == (mel_run.name, CHUNK_S)
    for name in ("train/loss", "train/tag", "train/domain"):
        assert np.isfinite(values(mel_run, name)).all()
    before, after = (weights(mel_run / f / "checkpoints" / "best") for f in ("encoder", "domain"))
    frozen = [name for name in after if name.startswith("encoder/")]
    assert any("running_mean" in name for name in frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen), "stage 2 moves nothing"

    out = tmp_path / "scores"
    test_set = suite / "test-audioset"
    run_well("evaluate", "--checkpoint", mel_run, "--shards", test_set, "--out", out)
    file, table = load_score_file(str(out / "test-audioset.scores"))
    assert (file.run.backbone, file.run.chunk_samples) == (mel_run.name, CHUNK)
    record = json.loads((out / "evaluation.json").read_text())
    assert (record["run"]["backbone"], len(table.keys)) == (mel_run.name, 6)

    audio = tmp_path / "a.wav"
    soundfile.write(audio, sum(music_and_noise(3 * CHUNK + 99, 5)), 22_050)
    tagged = json.loads(run_well("tag", audio, "--checkpoint", mel_run, "--json").output)
    assert set(tagged[str(audio)]) == set(TAGS)
    run_well("embed", audio, "--checkpoint", mel_run, "--per-chunk", "-o", tmp_path / "e.npz")
    n_features = load_tagger(mel_run).encoder.n_features
    assert np.load(tmp_path / "e.npz")[str(audio)].shape == (3, n_features)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript(lively: Tagger, tmp_path: Path) -> None:
    path = tmp_path / "tagger.pt"
    export_tagger(lively, path, "torchscript")
    card = json.loads(Path(f"{path}.json").read_text())
    assert card["backbone"] == lively.encoder.name
    assert card["input"] == {"name": "audio", "shape": ["n_chunks", 1, CHUNK]}
    expected, _ = lively.predict(torch.device("cpu"))(chunks())
    assert np.ptp(expected) > 0.02
    module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    for n in (1, 2, 5):
        with torch.no_grad():
            found = module(torch.from_numpy(chunks()[:n])).numpy()
        np.testing.assert_allclose(found, expected[:n], atol=1e-4)


@pytest.mark.slow
def test_onnx(lively: Tagger, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason=how_to_install("onnx"))
    path = tmp_path / "tagger.onnx"
    export_tagger(lively, path, "onnx")
    expected, _ = lively.predict(torch.device("cpu"))(chunks())
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        (found,) = session.run(["probabilities"], {"audio": chunks()[:n]})
        np.testing.assert_allclose(found, expected[:n], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["baseline", "supervised", "full-clean", "labelled-noise", "adabn", "consistency", "robust"],
)
def test_comparisons(mel_run: Path, suite: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "run"
    more = ("--attention-dim", "64") if mel_run.name == "transformer" else ()
    shared = ("--shards", suite, *COMPARISON, "--epochs", "1", *options(mel_run.name), *more)
    run_well(method, *shared, "--out", out, "--encoder", mel_run)
    card = load_checkpoint(out / "checkpoints" / "best").progress
    assert (card["method"], card["model"]["backbone"]) == (method, mel_run.name)
    run_well("evaluate", "--checkpoint", out, "--shards", suite / "test-musan")
    assert load_score_file(str(out / "evaluation" / "test-musan.scores"))[0].run.method == method


def test_backbones_are_compared(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """A transformer from scratch beside SampleCNN: one table, two lengths of chunk."""
    out = tmp_path / "attentive"
    shared = ("--shards", suite, "--out", out, *COMPARISON, *BRIEF[6:], *options("transformer"))
    run_well("supervised", *shared, "--encoder", "random")
    scores = []
    for name, folder in (("samplecnn", dat_run), ("transformer", out)):
        to = tmp_path / f"{name}-scores"
        test_set = suite / "test-audioset"
        run_well("evaluate", "--checkpoint", folder, "--shards", test_set, "--out", to)
        scores.append(to / "test-audioset.scores")
    result = run_well("compare", *scores, "--out", tmp_path / "table")
    rows = [line.split()[0] for line in result.output.splitlines() if line.strip()]
    assert {"attentive", "dat"} <= set(rows)


@pytest.mark.parametrize("mel_run", ["transformer"], indirect=True)
def test_evaluation_needs_a_chunk_in_every_clip(mel_run: Path, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(mel_run, out)
    for place in ("last", "best"):
        edit_card(out / "checkpoints" / place, {"chunk_s": 3.69})
    result = run("evaluate", "--checkpoint", out, "--shards", suite / "test-musan")
    assert result.exit_code == 1
    words = " ".join(result.output.split())
    assert "expected at least one chunk of 81365 samples, got 66150" in words
    assert "(--min-duration-s 3.691)" in words


def test_a_resumed_run_draws_the_same_dropout(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transformer is the only encoder with dropout: stage 1 and comparisons seed every step."""
    monkeypatch.setattr(keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    shared = ("baseline", "--shards", suite, *COMPARISON, *options("transformer"))
    run_well(*shared, "--out", tmp_path / "whole")
    for stage in ("encoder", "baseline"):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            interrupt(patch, stage, 3)
            run(*shared, "--out", tmp_path / "cut")
    run_well(*shared, "--out", tmp_path / "cut", "--resume")
    for folder in ("", "encoder"):
        cut, whole = (tmp_path / out / folder / "checkpoints" / "last" for out in ("cut", "whole"))
        assert_same_weights(cut, whole)


@pytest.mark.slow
def test_two_ranks_train_a_transformer(suite: Path, tmp_path: Path) -> None:
    sizes = [v for stage in ("", "encoder-", "classifier-") for v in (f"--{stage}batch-size", "2")]
    shared = ("dat", "--shards", suite, *DAT, *sizes, *options("transformer"))
    run_ranks((*shared, "--out", tmp_path / "run"))
    assert np.isfinite(values(tmp_path / "run", "train/loss")).all()
    before, after = (
        weights(tmp_path / "run" / f / "checkpoints" / "best") for f in ("encoder", "domain")
    )
    for name in (n for n in after if n.startswith("encoder/")):
        assert torch.equal(before[name], after[name]), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.parametrize("backbone", MEL)
def test_compiled_it_computes_the_same(backbone: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # torch.compile logs every graph
    torch.manual_seed(0)
    model = ModelConfig(backbone=backbone, width=0.03, chunk_s=CHUNK_S)  # type: ignore[arg-type]
    encoder = new_encoder(model)
    audio = torch.from_numpy(chunks())
    with torch.no_grad():
        encoder.train()(audio)
        encoder.eval()
        expected = encoder(audio)
        found = torch.compile(encoder)(audio)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
