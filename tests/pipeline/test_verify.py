"""``verify`` finds what was done to a set, and names file and example."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from plain_reader import read_shard

from manifests.errors import ManifestError
from pipeline.stages.verify import Verdict, read_checksums, verify_set

SHARD = "shard-000001.tar"


def problems(folder: Path, **options: Any) -> list[str]:
    return list(verify_set(str(folder), **options).problems)


def fix_hashes(folder: Path) -> None:
    """Make every hash and size fit again, as somebody who edits on purpose would."""
    index = json.loads((folder / "index.json").read_text())
    for shard in index["shards"]:
        data = (folder / shard["file"]).read_bytes()
        shard["bytes"], shard["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        path = folder / shard["file"].replace(".tar", ".json")
        sidecar = json.loads(path.read_text())
        sidecar["bytes"], sidecar["sha256"] = shard["bytes"], shard["sha256"]
        path.write_text(json.dumps(sidecar, sort_keys=True, separators=(",", ":")) + "\n")
    (folder / "index.json").write_text(json.dumps(index))
    names = [
        line.split("  ")[1] for line in (folder / "manifest-sha256.txt").read_text().splitlines()
    ]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / "manifest-sha256.txt").write_text("".join(lines))


def rewrite(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Write a tar again after a change of its members by name."""
    with tarfile.open(path) as tar:
        files = {e.name: tar.extractfile(e).read() for e in tar.getmembers()}  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in change(files).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def test_an_untouched_set_is_whole(built: Path) -> None:
    verdict = verify_set(str(built))
    assert verdict == Verdict("folder-train-x-folder-k2", 16, 12, ())
    assert verify_set(str(built), files_only=True) == Verdict("folder-train-x-folder-k2", 16, 0, ())


def test_two_workers_find_the_same(copy: Path) -> None:
    data = bytearray((copy / SHARD).read_bytes())
    data[5000] ^= 0xFF
    (copy / SHARD).write_bytes(data)
    assert problems(copy, jobs=2) == problems(copy) != []


@pytest.mark.parametrize("place", range(0, 1_000_000, 90_001))
def test_any_changed_byte_of_a_shard_is_found(copy: Path, place: int) -> None:
    """In headers, padding, FLAC frames and sidecars alike."""
    data = bytearray((copy / SHARD).read_bytes())
    data[place] ^= 0x01
    (copy / SHARD).write_bytes(data)
    found = problems(copy)
    assert any(p.startswith(f"{SHARD}: expected SHA-256") for p in found)
    assert problems(copy, files_only=True) == [
        p for p in found if p.startswith(f"{SHARD}: expected SHA")
    ]


def test_a_changed_sample_names_the_example(copy: Path) -> None:
    example = read_shard(copy / SHARD)[1]
    name = f"{example.key}.noisy.snr_0.flac"
    buffer = io.BytesIO()
    samples = example.pcm["noisy.snr_0"].copy()
    samples[100] += 1
    soundfile.write(buffer, samples, 22_050, format="FLAC", subtype="PCM_16")
    rewrite(copy / SHARD, lambda files: {**files, name: buffer.getvalue()})
    fix_hashes(copy)
    found = problems(copy)
    assert any(
        p.startswith(f"{SHARD}: {example.key}.noisy.snr_0: expected samples with SHA-256")
        for p in found
    )


def test_a_consistently_falsified_snr_is_found(copy: Path) -> None:
    """Samples, member hash, file hashes: all fit each other, but the SNR is not the member's."""
    example = read_shard(copy / SHARD)[0]
    member = "noisy.snr_10"
    clean = example.pcm["clean"].astype(np.float64)
    samples = np.rint(clean + 1.1 * (example.pcm[member] - clean)).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 22_050, format="FLAC", subtype="PCM_16")
    record = example.record
    record["members"][member]["pcm_sha256"] = hashlib.sha256(
        samples.astype("<i2").tobytes()
    ).hexdigest()
    peak = int(np.max(np.abs(samples.astype(int)))) / 32768
    record["members"][member]["peak"] = round(peak, 6)
    edits = {
        f"{example.key}.{member}.flac": buffer.getvalue(),
        f"{example.key}.json": json.dumps(record, sort_keys=True, separators=(",", ":")).encode(),
    }
    rewrite(copy / SHARD, lambda files: {**files, **edits})
    fix_hashes(copy)
    assert any(
        f"{SHARD}: {example.key}.noisy.snr_10: expected 10.0 dB within 0.05 dB, got 9.1" in p
        for p in problems(copy)
    )


@pytest.mark.parametrize("keep", [0, 511, 512, 100_000, -1024, -10240])
def test_a_tar_cut_short_names_what_is_missing(copy: Path, keep: int) -> None:
    data = (copy / SHARD).read_bytes()
    keys = [example.key for example in read_shard(copy / SHARD)]
    (copy / SHARD).write_bytes(data[:keep])
    found = problems(copy)
    assert any(p.startswith(f"{SHARD}: expected SHA-256") for p in found)
    if keep >= 0:
        assert any(p.startswith(f"{SHARD}: expected 3 examples, got") for p in found)
        assert any(keys[-1] in p for p in found)
        assert "expected 12 examples, decoded" in " ".join(found)


def test_a_missing_member_is_named(copy: Path) -> None:
    example = read_shard(copy / SHARD)[2]

    def drop(files: dict[str, bytes]) -> dict[str, bytes]:
        return {n: d for n, d in files.items() if n != f"{example.key}.noisy.snr_-5.flac"}

    rewrite(copy / SHARD, drop)
    fix_hashes(copy)
    found = problems(copy)
    assert any(f"{SHARD}: {example.key}: expected members" in p for p in found)


def test_a_missing_example_is_named(copy: Path) -> None:
    key = read_shard(copy / SHARD)[1].key
    rewrite(copy / SHARD, lambda f: {n: d for n, d in f.items() if not n.startswith(key)})
    assert f"{SHARD}: expected 3 examples, got 2; missing {key}" in problems(copy)


def test_an_extra_example_is_found(copy: Path) -> None:
    with tarfile.open(copy / "shard-000000.tar") as tar:
        entry = tar.getmembers()[:7]
        extra = {e.name: tar.extractfile(e).read() for e in entry}  # type: ignore[union-attr]
    rewrite(copy / SHARD, lambda files: {**files, **extra})
    fix_hashes(copy)
    assert f"{SHARD}: expected 3 examples, got 4" in problems(copy)


def test_swapped_shards_are_found(copy: Path) -> None:
    one, two = copy / "shard-000000.tar", copy / SHARD
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    found = problems(copy)
    for name in ("shard-000000.tar", SHARD):
        assert any(p.startswith(f"{name}: expected SHA-256") for p in found)
        assert any(
            p.startswith(f"{name}: expected 3 examples, got 3; missing folder-") for p in found
        )


def test_a_shard_of_the_other_half_is_found(copy: Path) -> None:
    """With every hash made to fit: the domain of the examples is not that of the shard."""
    one, other = copy / "shard-000000.tar", copy / "shard-000003.tar"
    one.write_bytes(other.read_bytes())
    fix_hashes(copy)
    assert any("expected key, split, domain, noises" in p for p in problems(copy))


@pytest.mark.parametrize(
    "name",
    ["shard-000002.tar", "shard-000002.json", "examples.parquet", "rejects.parquet", "tags.json",
     "croissant.json", "README.md"],
)  # fmt: skip
def test_a_removed_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{name}: expected a file, found none" in problems(copy)


PIPES = ("README.md", "tags.json", SHARD, SHARD.replace(".tar", ".json"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_a_files_place_is_named_not_waited_for(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    assert f"{name}: expected a file, found a folder, a pipe or a device" in problems(copy)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["index.json", "manifest-sha256.txt"])
def test_a_pipe_for_the_index_or_the_checksums(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(ManifestError, match=rf"^{name}: expected a file, found a folder, a pipe"):
        verify_set(str(copy))


def test_a_link_to_a_file_is_that_file(copy: Path, tmp_path: Path) -> None:
    """Caches of downloads hold links."""
    (copy / SHARD).rename(tmp_path / "elsewhere")
    (copy / SHARD).symlink_to(tmp_path / "elsewhere")
    assert problems(copy) == []


@pytest.mark.parametrize("name", ["index.json", "manifest-sha256.txt"])
def test_without_index_or_checksums_there_is_no_verdict(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ManifestError, match=name):
        verify_set(str(copy))


@pytest.mark.parametrize(
    "name", ["shard-000001.json", "examples.parquet", "tags.json", "README.md"]
)
def test_an_edited_file_is_named(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b" ")
    assert any(p.startswith(f"{name}: expected SHA-256") for p in problems(copy))


def test_an_edited_sidecar_of_a_shard_is_found_though_hashes_fit(copy: Path) -> None:
    path = copy / SHARD.replace(".tar", ".json")
    sidecar = json.loads(path.read_text())
    sidecar["examples"][1]["record"]["tags"] = ["piano"]
    sidecar["examples"][2]["offset"] += 512
    path.write_text(json.dumps(sidecar))
    fix_hashes(copy)
    keys = [entry["key"] for entry in sidecar["examples"]]
    found = problems(copy)
    assert any(
        p.startswith(f"{SHARD}: {keys[1]}: sidecar of the shard says otherwise than") for p in found
    )
    assert any(
        p.startswith(f"{SHARD}: {keys[2]}: sidecar says offset, bytes, members") for p in found
    )


def test_an_edited_index_is_found_though_hashes_fit(copy: Path) -> None:
    index = json.loads((copy / "index.json").read_text())
    for edit, expected in (
        ({"counts": {**index["counts"], "examples": 13}}, "index.json: counts 13 examples, its"),
        ({"split": "test"}, "expected key, split, domain, noises"),
        ({"noises_per_example": 4}, "expected key, split, domain, noises"),
        ({"tags": ["guitar"]}, "are not in the set's vocabulary"),
        ({"snrs_db": [10.0, 5.0, 0.0, -5.0, -11.0]}, "expected members"),
        ({"codec": "wav"}, "expected members"),
    ):
        (copy / "index.json").write_text(json.dumps({**index, **edit}))
        fix_hashes(copy)
        found = problems(copy)
        assert any(expected in p for p in found), (edit, found)


def test_an_index_that_disagrees_with_a_sidecar_names_the_shard(copy: Path) -> None:
    index = json.loads((copy / "index.json").read_text())
    index["shards"][1]["n_examples"] = 2
    (copy / "index.json").write_text(json.dumps(index))
    found = problems(copy)
    assert any(f"{SHARD}: index says" in p for p in found)
    assert any(p.startswith("index.json: expected SHA-256") for p in found)


def test_a_file_left_out_of_the_checksums_is_named(copy: Path) -> None:
    path = copy / "manifest-sha256.txt"
    lines = [line for line in path.read_text().splitlines(True) if "tags.json" not in line]
    path.write_text("".join(line for line in lines if "shard-000002.tar" not in line))
    found = problems(copy)
    assert "tags.json: not in manifest-sha256.txt" in found
    assert "shard-000002.tar: not in manifest-sha256.txt" in found


def test_a_shard_that_nobody_lists_is_named(copy: Path) -> None:
    shutil.copy(copy / SHARD, copy / "shard-000005.tar")
    assert problems(copy) == [
        "shard-000005.tar: a shard that index.json does not list; readers of shard-*.tar would "
        "take it"
    ]


def test_own_notes_in_the_folder_are_nobodys_business(copy: Path) -> None:
    (copy / "notes.txt").write_text("mine")
    assert problems(copy) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense\n", "expected 'SHA-256  NAME', got 'nonsense'"),
        ("0" * 64 + " tags.json\n", "expected 'SHA-256  NAME'"),
        ("0" * 64 + "  ../../etc/passwd\n", "file name '../../etc/passwd': expected letters"),
        ("0" * 64 + "  /etc/passwd\n", "file name '/etc/passwd': expected letters"),
    ],
)
def test_checksums_that_are_malformed_or_lead_out(copy: Path, text: str, message: str) -> None:
    (copy / "manifest-sha256.txt").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_checksums(str(copy))


@pytest.mark.parametrize("name", ["../up.clean.flac", "/etc/passwd", "KEY.clean.flac", "a/b.json"])
def test_a_hostile_member_name_is_refused(copy: Path, name: str) -> None:
    rewrite(copy / SHARD, lambda files: {**files, name: b"x"})
    fix_hashes(copy)
    assert any("expected plain files KEY.MEMBER.flac|wav and KEY.json" in p for p in problems(copy))


def test_a_link_in_a_shard_is_refused(copy: Path) -> None:
    with tarfile.open(copy / SHARD, "a") as tar:
        entry = tarfile.TarInfo("folder-evil-00000000-0.clean.flac")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    assert any("expected plain files" in p for p in problems(copy))
