"""One example: its sidecar is exact, and its members are checked against it one by one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from row_strategies import rows
from tiny_shards import tiny_example

from manifests.audio import AudioError
from manifests.errors import ManifestError
from manifests.example import (
    FORMAT_VERSION,
    MAX_SIDECAR_BYTES,
    Example,
    Member,
    MusicSource,
    NoiseSource,
    decode_members,
    decode_sidecar,
    encode_sidecar,
)
from manifests.member_audio import decode_pcm, encode_pcm

GOLDEN = Example(
    format_version=1,
    key="mtat-6-00000000-0",
    split="test",
    domain=None,
    tags=("guitar", "slow"),
    music=MusicSource("mtat", "6", "s", "Björk", "CC", "ab", 16_000, 1.5, 29.124),
    noises=(NoiseSource("musan", "n", ("wind",), "PD", "cd", 44_100, 0.0, True, 23.4567),),
    gain_db=-1.25,
    band_hz=7_200.0,
    chunk_snr_db=(0.5, -3.0),
    members={
        "clean": Member(None, None, None, 0.5, 59_049, "ef"),
        "noisy.snr_-10": Member(-10.0, 3.1234, -10.001, 0.999939, 59_049, "01"),
    },
)
GOLDEN_BYTES = (
    '{"band_hz":7200.0,"chunk_snr_db":[0.5,-3.0],"domain":null,"format_version":1,"gain_db":-1.25,'
    '"key":"mtat-6-00000000-0","members":{"clean":{"achieved_db":null,"mix_gain_db":null,'
    '"n_samples":59049,"pcm_sha256":"ef","peak":0.5,"target_db":null},"noisy.snr_-10":'
    '{"achieved_db":-10.001,"mix_gain_db":3.1234,"n_samples":59049,"pcm_sha256":"01",'
    '"peak":0.999939,"target_db":-10.0}},"music":{"artist":"Björk","clip_id":"6","corpus":"mtat",'
    '"duration_s":29.124,"licence":"CC","song":"s","source_rate":16000,"source_sha256":"ab",'
    '"start_s":1.5},"noises":[{"clip_id":"n","corpus":"musan","labels":["wind"],"level_db":23.4567,'
    '"licence":"PD","looped":true,"source_rate":44100,"source_sha256":"cd","start_s":0.0}],'
    '"split":"test","tags":["guitar","slow"]}'
).encode()


def test_sidecar_bytes_are_the_published_ones() -> None:
    assert encode_sidecar(GOLDEN) == GOLDEN_BYTES
    assert decode_sidecar(GOLDEN_BYTES, "k.json") == GOLDEN


@given(rows(Example))
@settings(deadline=None, max_examples=30)
def test_any_sidecar_comes_back(example: Example) -> None:
    legal = replace(example, format_version=FORMAT_VERSION, key="a-b_0")
    assert decode_sidecar(encode_sidecar(legal), "n") == legal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, r"^k.json: expected format version 1, got 2$"),
        ({"key": "A.b"}, r"key 'A.b': expected \[a-z0-9_-\]"),
        ({"key": "../../etc"}, r"key '../../etc': expected"),
        ({"gain_db": None}, r"^k.json: gain_db: expected int or float, got None$"),
        ({"extra": 1}, r"^k.json: Example: expected fields .*unknown \['extra'\]"),
    ],
)
def test_a_wrong_sidecar_is_refused(change: dict[str, object], message: str) -> None:
    record = json.loads(GOLDEN_BYTES) | change
    with pytest.raises(ManifestError, match=message):
        decode_sidecar(json.dumps(record).encode(), "k.json")


def test_a_huge_sidecar_is_refused_unread() -> None:
    data = b"[" * (MAX_SIDECAR_BYTES + 1)
    with pytest.raises(ManifestError, match=r"^k.json: expected at most 1048576 bytes, got 104857"):
        decode_sidecar(data, "k.json")


@pytest.mark.parametrize("codec", ["flac", "wav"])
@pytest.mark.parametrize("snrs_db", [(10.0, -10.0), ()])
def test_members_are_decoded(snrs_db: tuple[float, ...], codec: str) -> None:
    example, files = tiny_example("tiny-1", snrs_db, codec)
    found, pcms = decode_members(files, "shard: tiny-1")
    assert found == example
    assert list(pcms) == sorted(example.members)
    for name, pcm in pcms.items():
        assert np.array_equal(pcm, decode_pcm(files[f"{name}.{codec}"], "n")[0])


def test_missing_and_extra_members_are_refused() -> None:
    _, files = tiny_example("tiny-1")
    without_sidecar = {name: data for name, data in files.items() if name != "json"}
    with pytest.raises(ManifestError, match=r"^s: expected a .json member, got \['clean.flac'"):
        decode_members(without_sidecar, "s")
    without_clean = {name: data for name, data in files.items() if name != "clean.flac"}
    with pytest.raises(ManifestError, match=r"^s: expected members \['clean', 'noisy.snr_-10'"):
        decode_members(without_clean, "s")
    with pytest.raises(ManifestError, match=r"got \['clean.flac', 'extra.flac', 'noisy"):
        decode_members(files | {"extra.flac": files["clean.flac"]}, "s")


def test_one_member_in_two_codings_is_refused() -> None:
    """Which of the two would be the member?"""
    _, files = tiny_example("tiny-1")
    twice = files | {"clean.wav": tiny_example("tiny-1", codec="wav")[1]["clean.wav"]}
    with pytest.raises(ManifestError, match=r"got \['clean.flac', 'clean.wav', 'noisy"):
        decode_members(twice, "s")


def test_other_samples_lengths_and_rates_are_refused() -> None:
    _, files = tiny_example("tiny-1")
    pcm = decode_pcm(files["clean.flac"], "n")[0].copy()
    longer = np.append(pcm, pcm[:1])
    with pytest.raises(AudioError, match=r"^s.clean: expected 300 samples, got 301$"):
        decode_members(files | {"clean.flac": encode_pcm(longer, 22_050, "flac")}, "s")
    with pytest.raises(ManifestError, match=r"^s.clean: expected 22050 Hz, got 44100 Hz$"):
        decode_members(files | {"clean.flac": encode_pcm(pcm, 44_100, "flac")}, "s")
    pcm[123] += 1
    with pytest.raises(ManifestError, match=r"^s.clean: expected samples with SHA-256 .*…, got"):
        decode_members(files | {"clean.flac": encode_pcm(pcm, 22_050, "flac")}, "s")


def test_a_changed_byte_anywhere_in_a_member_is_found() -> None:
    """Every bit of a FLAC counts: checksums of the frames, or other samples."""
    _, files = tiny_example("tiny-1", n_samples=40)
    data, missed = files["clean.flac"], 0
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        try:
            _, pcms = decode_members(files | {"clean.flac": changed}, "s")
        except ManifestError:
            continue
        missed += 1  # a byte of the header that says nothing about the samples
        assert np.array_equal(pcms["clean"], decode_pcm(data, "n")[0])
    assert missed < len(data) // 2
