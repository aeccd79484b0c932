"""``verify`` finds what was done to a shard, and names the example."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from plain_reader import read_shard
from tampering import SHARD, fix_hashes, problems


def rewrite(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Write a tar again after a change of its members by name."""
    with tarfile.open(path) as tar:
        files = {e.name: tar.extractfile(e).read() for e in tar.getmembers()}  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in change(files).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


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


def test_a_key_in_two_shards_is_found(copy: Path) -> None:
    """With every hash, sidecar and count made to fit."""
    for suffix in (".tar", ".json"):
        (copy / SHARD).with_suffix(suffix).write_bytes(
            (copy / "shard-000000.tar").with_suffix(suffix).read_bytes()
        )
    path = (copy / SHARD).with_suffix(".json")
    path.write_text(path.read_text().replace('"shard-000000.tar"', f'"{SHARD}"'))
    index = json.loads((copy / "index.json").read_text())
    index["shards"][1] = {**index["shards"][0], "file": SHARD}
    (copy / "index.json").write_text(json.dumps(index))
    fix_hashes(copy)
    keys = [example.key for example in read_shard(copy / SHARD)]
    expected = [
        f"{SHARD}: {key}: expected each key once in a set, it is in shard-000000.tar too"
        for key in sorted(keys)
    ]
    assert problems(copy) == problems(copy, jobs=2) == expected


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
