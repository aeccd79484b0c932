"""Other people's readers: plain tarfile, WebDataset, sha256sum, Hugging Face datasets."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds
from plain_reader import read_set

from manifests.member_audio import decode_pcm

# WebDataset 1.0 leaves the file that it read last open until it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
MEMBERS = ("clean", "noisy.snr_10", "noisy.snr_5", "noisy.snr_0", "noisy.snr_-5", "noisy.snr_-10")


@pytest.fixture(autouse=True)
def collect_open_files() -> Iterator[None]:
    yield
    gc.collect()


def test_webdataset_reads_every_example_with_all_its_members(built: Path) -> None:
    urls = [str(path) for path in sorted(built.glob("*.tar"))]
    samples = list(wds.WebDataset(urls, shardshuffle=False))
    expected = read_set(built)
    assert [sample["__key__"] for sample in samples] == [example.key for example in expected]
    for sample, example in zip(samples, expected, strict=True):
        names = [name for name in sample if not name.startswith("__")]
        assert names == [*(f"{m}.flac" for m in MEMBERS), "json"]
        assert json.loads(sample["json"]) == example.record
        for member in MEMBERS:
            pcm, rate = decode_pcm(sample[f"{member}.flac"], member)
            assert rate == 22_050 and np.array_equal(pcm, example.pcm[member])


def test_webdataset_pipelines_of_ordinary_users(built: Path) -> None:
    """As the card says, and with tuples and renaming."""
    dataset = wds.WebDataset(str(built / "shard-000000.tar"), shardshuffle=False)
    pairs = list(dataset.to_tuple("clean.flac", "noisy.snr_-10.flac", "json"))
    assert len(pairs) == 3 and all(len(pair) == 3 for pair in pairs)
    decoded = wds.WebDataset(str(built / "shard-000000.tar"), shardshuffle=False).decode()
    assert next(iter(decoded))["json"]["split"] == "train"


def test_webdataset_brace_notation(built: Path) -> None:
    dataset = wds.WebDataset(str(built / "shard-{000000..000004}.tar"), shardshuffle=False)
    assert sum(1 for _ in dataset) == 12


def test_sha256sum_checks_the_manifest(built: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("the sha256sum program is not there")
    command = [program, "--check", "--strict", "--quiet", "manifest-sha256.txt"]
    done = subprocess.run(command, cwd=built, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_tar_program_lists_the_members(built: Path) -> None:
    program = shutil.which("tar")
    if program is None:
        pytest.skip("the tar program is not there")
    command = [program, "--list", "--file", str(built / "shard-000004.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (example,) = (e for e in read_set(built) if e.shard == "shard-000004.tar")
    assert done.stdout.split() == [f"{example.key}.{name}" for name in example.names]


_READ_WITH_DATASETS = """
import io, json, sys
import datasets, soundfile
data = datasets.load_dataset(
    "webdataset", data_files={"train": sys.argv[1] + "/*.tar"}, split="train", streaming=False,
    cache_dir=sys.argv[2],
)
rows = []
for name in data.column_names:
    if name.endswith(".flac"):
        data = data.cast_column(name, datasets.Audio(decode=False))
for row in data:
    sizes = {}
    for name, value in row.items():
        if name.endswith(".flac"):
            samples, rate = soundfile.read(io.BytesIO(value["bytes"]), dtype="int16")
            sizes[name] = [len(samples), rate, int(samples.astype("int64").sum())]
    rows.append({"key": row["__key__"], "split": row["json"]["split"], "sizes": sizes})
decoded = data.cast_column("clean.flac", datasets.Audio(sampling_rate=22_050))[0]["clean.flac"]
print(json.dumps({"rows": rows, "decoded": len(decoded["array"])}))
"""


@pytest.mark.slow
def test_hugging_face_datasets_reads_a_set(built: Path, tmp_path: Path) -> None:
    """In an environment of its own, with the version that has the soundfile decoder."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv/bin/python")
    wanted = ["datasets==3.6.0", "soundfile", "librosa"]
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot install datasets: {done.stderr.strip().splitlines()[-1]}")
    script = tmp_path / "read.py"
    script.write_text(_READ_WITH_DATASETS)
    command = [python, str(script), str(built), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    by_key = {row["key"]: row for row in found["rows"]}
    expected = read_set(built)
    assert by_key.keys() == {example.key for example in expected}
    assert found["decoded"] in {example.pcm["clean"].size for example in expected}
    for example in expected:
        row = by_key[example.key]
        assert row["split"] == "train"
        for member in MEMBERS:
            pcm = example.pcm[member]
            assert row["sizes"][f"{member}.flac"] == [pcm.size, 22_050, int(pcm.astype(int).sum())]
