"""Exported taggers give what torch gives, for any number of chunks."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tiny_sets import TAGS, music_and_noise
from tiny_suite import run, run_well

from manifests.errors import UsageError
from manifests.extras import how_to_install
from manifests.rows import CHUNK_SAMPLES
from trainer.adabn import average_from_here
from trainer.evaluation.clip_scores import mean_of_chunks
from trainer.export import ChunkTagger, export_tagger
from trainer.models.pooling import AttentionPooling
from trainer.tagger import Tagger, load_tagger


@pytest.fixture(scope="module")
def chunks() -> np.ndarray:
    """Chords, noise, silence and a very quiet chunk, (5, 1, 59,049)."""
    music, noise = music_and_noise(CHUNK_SAMPLES, 3)
    zeros = np.zeros(CHUNK_SAMPLES)
    rows = [music, noise, music + noise, zeros, 1e-4 * music]
    return np.stack(rows)[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def tagger(dat_run: Path, chunks: np.ndarray) -> Tagger:
    """A tagger whose outputs differ from chunk to chunk."""
    one = load_tagger(dat_run)
    average_from_here(one.encoder, forget=True)
    with torch.no_grad():
        one.encoder.train()(one.prepare(torch.from_numpy(chunks)))
        one.predictor.layers[2].weight.mul_(10.0)
    one.encoder.eval()
    return one


def assert_card(path: Path, tagger: Tagger, format_name: str) -> None:
    card = json.loads(Path(f"{path}.json").read_text())
    assert card["format"] == format_name and card["tags"] == list(TAGS)
    assert card["sample_rate"] == 22_050 and card["band_hz"] is None
    assert card["input"] == {"name": "audio", "shape": ["n_chunks", 1, CHUNK_SAMPLES]}
    assert card["weights_sha256"] == tagger.sha256
    assert ("attention" in card) == ("exp(attention)" in card["file_score"])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript(tagger: Tagger, chunks: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "tagger.pt"
    export_tagger(tagger, path, "torchscript")
    assert_card(path, tagger, "torchscript")
    expected, _ = tagger.predict(torch.device("cpu"))(chunks)
    assert np.ptp(expected) > 0.05
    module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    for n in (1, 2, 5):
        found = module(torch.from_numpy(chunks[:n])).numpy()  # asks for no gradient by itself
        np.testing.assert_allclose(found, expected[:n], atol=1e-4)


def test_onnx(tagger: Tagger, chunks: np.ndarray, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason=how_to_install("onnx"))
    path = tmp_path / "tagger.onnx"
    export_tagger(tagger, path, "onnx")
    assert_card(path, tagger, "onnx")
    expected, _ = tagger.predict(torch.device("cpu"))(chunks)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        (found,) = session.run(["probabilities"], {"audio": chunks[:n]})
        np.testing.assert_allclose(found, expected[:n], atol=1e-4)


def weigh(tagger: Tagger) -> Tagger:
    """The tagger with an attention that differs from chunk to chunk."""
    torch.manual_seed(1)
    pooling = AttentionPooling(tagger.encoder.n_features, len(TAGS), hidden=9)
    torch.nn.init.normal_(pooling.score.weight)
    return replace(tagger, pooling=pooling.eval())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("format_name", ["onnx", "torchscript"])
def test_attention_is_a_second_output(
    tagger: Tagger, chunks: np.ndarray, tmp_path: Path, format_name: str
) -> None:
    """Put together as the card says, in two pieces, it gives what evaluation gives."""
    weighed, path = weigh(tagger), tmp_path / "tagger"
    if format_name == "onnx":
        pytest.importorskip("onnxruntime", reason=how_to_install("onnx"))
    export_tagger(weighed, path, format_name)
    assert_card(path, tagger, format_name)
    card = json.loads(Path(f"{path}.json").read_text())
    assert card["attention"] == {"name": "attention", "shape": ["n_chunks", len(TAGS)]}
    assert card["file_score"].startswith("sum of exp(attention) * probabilities / sum of exp(")
    above, below = np.zeros(len(TAGS)), np.zeros(len(TAGS))
    for some in (chunks[:3], chunks[3:]):
        probabilities, attention = outputs_of(path, format_name, some)
        above += (np.exp(attention) * probabilities).sum(axis=0)
        below += np.exp(attention).sum(axis=0)
    expected = weighed.aggregate(*weighed.predict(torch.device("cpu"))(chunks))
    np.testing.assert_allclose(above / below, expected, atol=1e-4)
    mean = mean_of_chunks(*tagger.predict(torch.device("cpu"))(chunks))
    assert np.abs(expected - mean).max() > 1e-2


def outputs_of(path: Path, format_name: str, some: np.ndarray) -> list[np.ndarray]:
    if format_name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found: list[np.ndarray] = session.run(["probabilities", "attention"], {"audio": some})
        return found
    module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return [output.numpy() for output in module(torch.from_numpy(some))]


def test_the_level_is_part_of_what_is_exported(tagger: Tagger, chunks: np.ndarray) -> None:
    with torch.no_grad():
        model = ChunkTagger(tagger).eval()
        loud, quiet = (model(torch.from_numpy(gain * chunks[:3])) for gain in (1.0, 0.1))
    torch.testing.assert_close(loud, quiet, atol=1e-4, rtol=0)


def test_the_command(dat_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "tagger.pt"
    result = run_well("export", "--checkpoint", dat_run, "--format", "torchscript", "-o", path)
    assert result.output.startswith(f"{path}: ") and result.output.endswith(" MB, torchscript\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tagger.pt", "tagger.pt.json"]
    bad = run("export", "--checkpoint", dat_run, "--format", "tflite", "-o", path)
    assert bad.exit_code == 2 and "'tflite' is not one of 'onnx', 'torchscript'" in bad.output
    (tmp_path / "file").write_text("x")
    nowhere = tmp_path / "file" / "x.pt"
    lost = run("export", "--checkpoint", dat_run, "--format", "torchscript", "-o", nowhere)
    assert lost.exit_code == 1 and lost.output.startswith(f"train: {nowhere}: ")


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to_and_stays_one(dat_run: Path, tmp_path: Path, linked: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    name = tmp_path / "link" if linked else pipe
    if linked:
        name.symlink_to(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        result = run_well("export", "--checkpoint", dat_run, "--format", "torchscript", "-o", name)
        data = read.result(timeout=60)
    assert data[:2] == b"PK" and pipe.is_fifo() and result.stdout == ""
    assert f"{name}: {len(data) / 1e6:.1f} MB, torchscript" in result.stderr
    assert not Path(f"{name}.json").exists()


def test_a_folder_is_no_place_for_it(dat_run: Path) -> None:
    bad = run("export", "--checkpoint", dat_run, "--format", "torchscript", "-o", ".")
    assert bad.exit_code == 2 and "File '.' is a directory." in bad.output


def test_what_is_missing_is_said(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="--format: expected onnx or torchscript, got x"):
        export_tagger(tagger, tmp_path / "x", "x")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxscript", ModuleType("onnxscript"))
        patch.setattr(torch.onnx, "export", lambda *_, **__: None)
        with pytest.raises(UsageError, match="torch gave no program; try --format torchscript"):
            export_tagger(tagger, tmp_path / "x", "onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"--format onnx: install the extra: .* '\.\[onnx\]' in"):
        export_tagger(tagger, tmp_path / "x", "onnx")
    assert not (tmp_path / "x").exists()
