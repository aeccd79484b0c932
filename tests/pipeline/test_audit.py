"""The audit: each thing that can be wrong with a written example is found and named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_corpora import burst, chord, generator

from manifests import signal
from manifests.errors import ManifestError
from manifests.example import Example, Member, MusicSource, NoiseSource, encode_sidecar
from manifests.member_audio import encode_pcm
from pipeline.audit import audit_example

RATE = 22_050
SNRS_DB = (10.0, -10.0)
Pcm = NDArray[np.int16]


def pcm_of(samples: NDArray[np.float64]) -> Pcm:
    return np.rint(samples * 32768).astype(np.int16)


def member_of(pcm: Pcm, target_db: float | None = None, achieved_db: float | None = None) -> Member:
    peak = round(float(np.max(np.abs(pcm.astype(int)))) / 32768, 6)
    digest = hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()
    return Member(target_db, None, achieved_db, peak, pcm.size, digest)


def example_of(pcms: dict[str, Pcm]) -> Example:
    """Return a sidecar that tells the truth about its members."""
    members = {}
    for name, pcm in pcms.items():
        if name.startswith("noisy"):
            achieved_db = round(signal.achieved_snr_db(pcms["clean"], pcm), 3)
            members[name] = member_of(pcm, float(name.split("_")[1]), achieved_db)
        else:
            members[name] = member_of(pcm)
    music = MusicSource("folder", "m", "m", "", "", "0" * 64, RATE, 0.0, 3.0)
    noise = NoiseSource("folder", "n", (), "", "0" * 64, RATE, 0.0, False, 0.0)
    return Example(
        1, "folder-m-00000000-0", "test", None, (), music, (noise,), 0.0, None, (), members
    )


def encoded(example: Example, pcms: dict[str, Pcm]) -> dict[str, bytes]:
    files = {f"{name}.flac": encode_pcm(pcm, RATE, "flac") for name, pcm in pcms.items()}
    return {**files, "json": encode_sidecar(example)}


@pytest.fixture
def pcms() -> dict[str, Pcm]:
    music = 0.2 * chord(generator("audit"), 3.0, RATE)
    noise = burst(generator("audit-noise"), 3.0, RATE)
    unit = noise * np.sqrt(np.mean(music**2) / np.mean(noise**2))
    mixes = {f"noisy.snr_{s:g}": pcm_of(music + unit * 10 ** (-s / 20)) for s in SNRS_DB}
    return {"clean": pcm_of(music), **mixes}


def audit(files: dict[str, bytes], snrs_db: tuple[float, ...] = SNRS_DB) -> Example:
    return audit_example(files, "shard-000000.tar: KEY", snrs_db)


def test_a_truthful_example_passes(pcms: dict[str, Pcm]) -> None:
    example = example_of(pcms)
    assert audit(encoded(example, pcms)) == example


def test_recordings_pass(pcms: dict[str, Pcm]) -> None:
    example = replace(example_of({"audio": pcms["clean"]}), noises=())
    assert audit(encoded(example, {"audio": pcms["clean"]}), ()) == example


def test_a_missing_rung_is_named(pcms: dict[str, Pcm]) -> None:
    del pcms["noisy.snr_10"]
    with pytest.raises(ManifestError) as caught:
        audit(encoded(example_of(pcms), pcms))
    assert str(caught.value) == (
        "shard-000000.tar: KEY: expected members ['clean', 'noisy.snr_10', 'noisy.snr_-10', "
        "'json'], got ['clean.flac', 'noisy.snr_-10.flac', 'json']"
    )


def test_the_order_of_members_counts(pcms: dict[str, Pcm]) -> None:
    files = encoded(example_of(pcms), pcms)
    with pytest.raises(ManifestError, match=r"KEY: expected members \['clean', "):
        audit(dict(reversed(files.items())))
    with pytest.raises(ManifestError, match=r"KEY: expected members \['clean', "):
        audit({"json": files.pop("json"), **files})


def test_a_member_without_its_figures_is_refused(pcms: dict[str, Pcm]) -> None:
    files = encoded(example_of(pcms), pcms)
    files["noisy.snr_0.flac"] = files["clean.flac"]
    with pytest.raises(ManifestError, match="KEY: expected members"):
        audit(files)


def test_a_missing_sidecar_is_refused(pcms: dict[str, Pcm]) -> None:
    files = encoded(example_of(pcms), pcms)
    del files["json"]
    with pytest.raises(ManifestError, match=r"KEY: expected a \.json member"):
        audit(files)


def test_one_changed_sample_is_found(pcms: dict[str, Pcm]) -> None:
    example = example_of(pcms)
    pcms["noisy.snr_-10"][1000] += 1
    with pytest.raises(ManifestError, match=r"KEY\.noisy\.snr_-10: expected samples with SHA-256"):
        audit(encoded(example, pcms))


def test_another_length_is_found_before_decoding(pcms: dict[str, Pcm]) -> None:
    example = example_of(pcms)
    pcms["clean"] = pcms["clean"][:-1]
    with pytest.raises(ManifestError, match=r"KEY\.clean: expected 66150 samples, got 66149"):
        audit(encoded(example, pcms))


def test_another_rate_is_found(pcms: dict[str, Pcm]) -> None:
    files = encoded(example_of(pcms), pcms)
    files["clean.flac"] = encode_pcm(pcms["clean"], 44_100, "flac")
    with pytest.raises(ManifestError, match=r"KEY\.clean: expected 22050 Hz, got 44100 Hz"):
        audit(files)


def test_an_snr_that_is_off_is_found(pcms: dict[str, Pcm]) -> None:
    """0.06 dB too much noise, with every figure and hash of the sidecar made to fit."""
    clean = pcms["clean"].astype(np.float64)
    noise = pcms["noisy.snr_10"] - clean
    pcms["noisy.snr_10"] = np.rint(clean + noise * 10 ** (0.06 / 20)).astype(np.int16)
    with pytest.raises(ManifestError) as caught:
        audit(encoded(example_of(pcms), pcms))
    assert str(caught.value).startswith(
        "shard-000000.tar: KEY.noisy.snr_10: expected 10.0 dB within 0.05 dB, got 9.94"
    )


def test_swapped_rungs_are_found(pcms: dict[str, Pcm]) -> None:
    pcms["noisy.snr_10"], pcms["noisy.snr_-10"] = pcms["noisy.snr_-10"], pcms["noisy.snr_10"]
    with pytest.raises(ManifestError, match=r"snr_10: expected 10\.0 dB within 0\.05 dB, got -10"):
        audit(encoded(example_of(pcms), pcms))


def test_clean_and_noisy_alike_are_found(pcms: dict[str, Pcm]) -> None:
    """No noise at all is below the level at which an SNR can be measured, and no less wrong."""
    example = example_of(pcms)
    pcms["noisy.snr_10"] = pcms["clean"]
    member = replace(member_of(pcms["clean"], 10.0, 10.0))
    example = replace(example, members={**example.members, "noisy.snr_10": member})
    with pytest.raises(ManifestError, match=r"expected 10\.0 dB within 0\.05 dB, got inf dB"):
        audit(encoded(example, pcms))


@pytest.mark.parametrize("snr_db", [10.0, 0.0, -20.0])
def test_pairs_near_the_lsb_pass_where_rounding_explains_them(snr_db: float) -> None:
    """Music at -75 dBFS: rounding moves the SNR by more than 0.05 dB."""
    rng = generator("faint")
    music = 10 ** (-75 / 20) * rng.standard_normal(3 * RATE)
    noise = 10 ** ((-75 - snr_db) / 20) * rng.standard_normal(3 * RATE)
    pcms = {"clean": pcm_of(music), f"noisy.snr_{snr_db:g}": pcm_of(music + noise)}
    example = example_of(pcms)
    audit(encoded(example, pcms), (snr_db,))
    pcms[f"noisy.snr_{snr_db:g}"] = pcm_of(music + 3.0 * noise)
    with pytest.raises(ManifestError, match=r"expected .* dB within"):
        audit(encoded(example_of(pcms), pcms), (snr_db,))


def edited(example: Example, name: str, **figures: Any) -> Example:
    members = {**example.members, name: replace(example.members[name], **figures)}
    return replace(example, members=members)


def test_figures_that_the_samples_belie(pcms: dict[str, Pcm]) -> None:
    example = example_of(pcms)
    for wrong, message in (
        (edited(example, "clean", peak=0.5), r"KEY\.clean: expected peak 0\.5, got 0\.1"),
        (edited(example, "noisy.snr_10", achieved_db=9.5), r"sidecar says 9\.5 dB, measured 10"),
        (edited(example, "noisy.snr_10", achieved_db=None), r"sidecar says None dB, measured"),
        (edited(example, "noisy.snr_10", target_db=9.0), r"snr_10: expected 10\.0 dB within"),
    ):
        with pytest.raises(ManifestError, match=message):
            audit(encoded(wrong, pcms))


@pytest.mark.parametrize("value", [32767, -32768])
def test_clipping_is_found(pcms: dict[str, Pcm], value: int) -> None:
    pcms["clean"][5] = value
    example = example_of(pcms)
    if value == 32767:  # one LSB below the top is the limit: 32766, and one for rounding
        with pytest.raises(ManifestError, match=r"noisy\.snr_"):
            audit(encoded(example, pcms))
    else:
        with pytest.raises(ManifestError, match=r"KEY\.clean: clips: peak 1\.000000 of full scale"):
            audit(encoded(example, pcms))


def test_an_empty_member_is_an_error_of_ours() -> None:
    pcm = np.zeros(0, dtype=np.int16)
    member = Member(None, None, None, 0.0, 0, hashlib.sha256(b"").hexdigest())
    example = replace(example_of({}), members={"audio": member}, noises=())
    with pytest.raises(ManifestError):
        audit(encoded(example, {"audio": pcm}), ())


def test_a_sidecar_of_another_version_or_shape_is_refused(pcms: dict[str, Pcm]) -> None:
    files = encoded(example_of(pcms), pcms)
    record = json.loads(files["json"])
    for edit, message in (
        ({**record, "format_version": 2}, "expected format version 1, got 2"),
        ({**record, "extra": 1}, "expected fields"),
        ({k: v for k, v in record.items() if k != "members"}, "expected fields"),
        ({**record, "key": "../up"}, "expected"),
    ):
        with pytest.raises(ManifestError, match=message):
            audit({**files, "json": json.dumps(edit).encode()})
