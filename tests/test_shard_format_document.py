"""A reader written from docs/shard-format.md alone: tarfile, json, hashlib, numpy, soundfile."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from pipeline.cli import prep

DOCUMENT = Path(__file__).parents[1] / "docs" / "shard-format.md"


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("format")
    rng = np.random.default_rng(3)
    for role in ("music", "noise"):
        (root / role).mkdir()
        for i in range(4):
            tone = np.sin(2 * np.pi * 220 * (i + 1) * np.arange(4 * 16_000) / 16_000)
            signal = 0.3 * tone if role == "music" else 0.1 * rng.standard_normal(tone.size)
            soundfile.write(root / role / f"{role} {i}.wav", signal, 16_000)
    options = f"--music folder={root}/music --noise folder={root}/noise --split train"
    command = f"build-shards {options} --noise-split train --noises 2 --jobs 1 --out {root}/set"
    done = CliRunner().invoke(prep, [*command.split(), "--examples-per-shard", "3"])
    assert done.exit_code == 0, done.output
    return root / "set"


def test_a_reader_written_from_the_document_reads_a_set(small_set: Path) -> None:
    index = json.loads((small_set / "index.json").read_text())
    assert index["format_version"] == 1
    hashes = dict(
        reversed(line.split("  "))
        for line in (small_set / "manifest-sha256.txt").read_text().splitlines()
    )
    keys = []
    names = ["clean", *(f"noisy.snr_{s:g}" for s in index["snrs_db"])]
    for number, shard in enumerate(index["shards"]):
        assert shard["file"] == f"shard-{number:06d}.tar"
        data = (small_set / shard["file"]).read_bytes()
        assert len(data) == shard["bytes"]
        assert hashlib.sha256(data).hexdigest() == shard["sha256"] == hashes[shard["file"]]
        sidecar = json.loads((small_set / f"shard-{number:06d}.json").read_text())
        assert sidecar["n_examples"] == shard["n_examples"] == len(sidecar["examples"])
        for entry in sidecar["examples"]:
            part = data[entry["offset"] : entry["offset"] + entry["bytes"]]
            keys.append(entry["key"])
            _check_example(part, entry, names, shard["domain"], index)
    assert len(keys) == len(set(keys)) == index["counts"]["examples"] == 4


def _check_example(part: bytes, entry: dict, names: list[str], domain: str, index: dict) -> None:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(part + bytes(1024))) as tar:
        for member in tar:
            assert member.isreg() and member.mtime == 0
            opened = tar.extractfile(member)
            assert opened is not None
            files[member.name.removeprefix(entry["key"] + ".")] = opened.read()
    assert list(files) == [*(f"{name}.{index['codec']}" for name in names), "json"]
    assert {name: len(data) for name, data in files.items()} == entry["member_bytes"]
    record = json.loads(files["json"])
    assert record == entry["record"]
    assert record["domain"] == domain
    assert len(record["noises"]) == index["noises_per_example"] == 2
    audio = {}
    for name in names:
        pcm, rate = soundfile.read(io.BytesIO(files[f"{name}.{index['codec']}"]), dtype="int16")
        said = record["members"][name]
        assert (rate, pcm.size) == (22_050, said["n_samples"])
        assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() == said["pcm_sha256"]
        audio[name] = pcm.astype(float)
    clean = audio["clean"]
    for snr_db in index["snrs_db"]:
        noise = audio[f"noisy.snr_{snr_db:g}"] - clean
        achieved_db = 10 * np.log10(np.sum(clean**2) / np.sum(noise**2))
        assert abs(achieved_db - snr_db) < 0.05
    factor = 10 ** ((-10 - 0) / 20)
    releveled = clean + (audio["noisy.snr_-10"] - clean) * factor
    assert np.max(np.abs(releveled - audio["noisy.snr_0"])) <= 2
    w = (10 ** (-0 / 20) - 10 ** (10 / 20)) / (10 ** (-10 / 20) - 10 ** (10 / 20))
    between = w * audio["noisy.snr_10"] + (1 - w) * audio["noisy.snr_-10"]
    assert np.max(np.abs(between - audio["noisy.snr_0"])) <= 2


def test_every_field_of_the_files_is_in_the_document(small_set: Path) -> None:
    text = DOCUMENT.read_text()
    index = json.loads((small_set / "index.json").read_text())
    sidecar = json.loads((small_set / "shard-000000.json").read_text())
    entry = sidecar["examples"][0]
    record = entry["record"]
    fields = [*index, *index["shards"][0], *index["counts"], *sidecar, *entry, *record]
    fields += [*record["music"], *record["noises"][0], *record["members"]["clean"]]
    missing = [name for name in fields if f"`{name}`" not in text]
    assert not missing
    for path in small_set.iterdir():
        shown = path.name.replace("000000", "NNNNNN").replace("000001", "NNNNNN")
        assert f"`{shown.replace('000002', 'NNNNNN')}`" in text
