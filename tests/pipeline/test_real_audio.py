"""Real recordings: ESC-10 and MUSAN as noise, real music where this machine has any."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_reader import PlainExample, check_snrs, read_set
from prep_runner import run_prep

SINGULARITY = Path("/usr/share/games/singularity/music")


@pytest.fixture(scope="module")
def esc10(shared_dir: Path) -> Path:
    folder = shared_dir / "audio/esc-10"
    if not folder.is_dir():
        pytest.skip("no ESC-10 among the shared files")
    return folder


@pytest.fixture(scope="module")
def musan(shared_dir: Path) -> Path:
    folder = shared_dir / "audio/musan-subset"
    if not folder.is_dir():
        pytest.skip("no MUSAN among the shared files")
    return folder


@pytest.fixture(scope="module")
def pieces(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short pieces of Debian's singularity-music, else those of the MUSAN subset."""
    for folder in (SINGULARITY, shared_dir / "audio/musan-subset/music"):
        found = [path for kind in ("*.ogg", "*.wav") for path in folder.rglob(kind)]
        if len(found) >= 3:
            links = tmp_path_factory.mktemp("pieces")
            for path in sorted(found, key=lambda path: path.stat().st_size)[:4]:
                (links / path.name).symlink_to(path)
            return links
    pytest.skip("no real music: apt-get install singularity-music, or the shared files")


def built(out: Path, *arguments: object) -> list[PlainExample]:
    ran = run_prep("build-shards", *arguments, "--jobs", 2, "--out", out)
    assert ran.status == 0, ran.err
    verified = run_prep("verify", out, "--jobs", 1)
    assert verified.status == 0, verified.out
    return read_set(out)


def test_real_music_under_esc10(pieces: Path, esc10: Path, tmp_path: Path) -> None:
    """Four noises of ten classes under 10 s of each piece, band limited, five SNRs."""
    found = built(
        tmp_path / "set", "--music", f"folder={pieces}", "--noise", f"folder={esc10}",
        "--noises", 4, "--excerpt-s", 10, "--split", "test",
    )  # fmt: skip
    assert len(found) >= 3
    assert check_snrs(found) == 5 * len(found)
    for example in found:
        assert len(example.record["noises"]) == 4
        assert example.pcm["clean"].size == 220_500


def test_real_music_under_musan(pieces: Path, musan: Path, tmp_path: Path) -> None:
    """MUSAN has no splits and serves training too; two excerpts of each piece in one half."""
    found = built(
        tmp_path / "set", "--music", f"folder={pieces}", "--noise", f"musan={musan}",
        "--excerpt-s", 5, "--excerpts-per-track", 2, "--limit", 8, "--band-limit", "off",
    )  # fmt: skip
    assert check_snrs(found) == 5 * len(found) and len(found) >= 6
    licences = {noise["licence"] for e in found for noise in e.record["noises"]}
    assert licences and "" not in licences
    halves = {(e.record["music"]["song"], e.record["domain"]) for e in found}
    assert len(halves) == len({song for song, _ in halves})


def test_esc10_scans_without_a_reject(esc10: Path) -> None:
    ran = run_prep("scan", "--corpus", "folder", "--root", esc10, "--jobs", 2, "--json")
    assert ran.status == 0 and ran.record["clips"] >= 100 and ran.record["rejects"] == {}


def test_odd_real_files_are_read_or_named(shared_dir: Path) -> None:
    folder = shared_dir / "audio/odd"
    if not folder.is_dir():
        pytest.skip("no odd files among the shared files")
    ran = run_prep("scan", "--corpus", "folder", "--root", folder, "--jobs", 1, "--json")
    reasons = {r["path"]: r["reason"] for r in ran.record["rejected"]}
    assert reasons["digital_silence.wav"] == "silent"
    assert reasons["testing.m4a"] == "undecodable"
    assert not {"mono_int24.wav", "mono_float64.wav", "ms_adpcm.wav", "stereo_24bit.WAV"} & set(
        reasons
    )
