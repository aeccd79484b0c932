"""Scanning: every file decoded once, rejects named, what is known not decoded again."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_corpora import Corpora, chord, generator, write_audio

from manifests.audio import AudioError
from manifests.errors import UsageError
from manifests.measure import Measurement, measure
from pipeline.progress import SilentReporter
from pipeline.scan_cache import Failure, ScanCache, cache_folder, forget
from pipeline.stages import scan as scan_module
from pipeline.stages.scan import Scan, ScanOptions, scan


@pytest.fixture
def own(corpora: Corpora, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpora.noise, tmp_path / "noise"))


@pytest.fixture
def decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A cache of its own, and the names of the files that are decoded."""
    names: list[str] = []

    def spy(url: str, name: str, **options: Any) -> Measurement:
        names.append(name)
        return measure(url, name, **options)

    monkeypatch.setenv("ROBUST_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scan_module, "measure", spy)
    yield names


def cache_file() -> Path:
    with contextlib.closing(ScanCache()) as cache:
        return cache.path


def bare(found: Scan) -> tuple[Any, ...]:
    return found.clips, found.rejects


def test_a_second_scan_decodes_nothing(own: Path, decoded: list[str]) -> None:
    first = scan("folder", str(own))
    assert len(decoded) == 8 == len(first.clips)
    decoded.clear()
    assert bare(scan("folder", str(own))) == bare(first)
    assert decoded == []


def test_only_new_and_changed_files_are_decoded(own: Path, decoded: list[str]) -> None:
    before = {c.clip_id: c.source_sha256 for c in scan("folder", str(own)).clips}
    decoded.clear()
    write_audio(own / "new.wav", chord(generator("new"), 3.0, 22_050))
    write_audio(own / "noise0.wav", chord(generator("other"), 3.0, 22_050))
    os.utime(own / "noise1.wav", ns=(1, 1))
    after = {c.clip_id: c.source_sha256 for c in scan("folder", str(own)).clips}
    assert sorted(decoded) == ["new.wav", "noise0.wav", "noise1.wav"]
    assert after["noise0"] != before["noise0"] and after["noise1"] == before["noise1"]


def test_the_same_folder_by_another_spelling_is_known(
    own: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan("folder", str(own))
    decoded.clear()
    monkeypatch.chdir(own.parent)
    monkeypatch.setenv("HOME", str(own.parent))
    for spelling in ("noise", "./noise", "~/noise", f"{own}/"):
        assert bare(scan("folder", spelling)) == bare(first)
    assert decoded == []


def test_another_decoder_measures_again(own: Path, decoded: list[str]) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not there")
    one = scan("folder", str(own))
    decoded.clear()
    two = scan("folder", str(own), options=ScanOptions(decoder="ffmpeg"))
    assert len(decoded) == 8
    assert [c.source_samples for c in one.clips] == [c.source_samples for c in two.clips]


def test_a_decoder_whose_program_is_missing_rejects_no_file(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    with pytest.raises(UsageError, match=r"^--decoder ffmpeg: .* not found; install ffmpeg or use"):
        measure(str(own / "noise0.wav"), "noise0.wav", decoder="ffmpeg")
    with pytest.raises(UsageError, match=r"^--decoder ffmpeg: "):
        scan("folder", str(own / "nowhere"), options=ScanOptions(decoder="ffmpeg"))
    bare = ScanOptions(decoder="ffmpeg", with_audio=False)
    assert len(scan("folder", str(own), options=bare).clips) == 8


def test_a_reject_is_remembered_too(own: Path, decoded: list[str]) -> None:
    (own / "broken.wav").write_bytes(b"RIFF....")
    first = scan("folder", str(own))
    decoded.clear()
    second = scan("folder", str(own))
    assert bare(second) == bare(first) and decoded == []
    (reject,) = second.rejects
    assert (reject.clip_id, reject.stage, reject.reason) == ("broken", "scan", "undecodable")
    assert reject.detail.startswith("broken.wav: ")


def test_a_file_that_cannot_be_read_now_is_tried_again(
    own: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions change neither size nor time of a file."""
    original = scan_module.measure

    def refuse(url: str, name: str, **options: Any) -> Measurement:
        if name == "noise2.wav":
            raise AudioError("unreadable", f"{name}: cannot be read: Permission denied")
        return original(url, name, **options)

    with monkeypatch.context() as inner:
        inner.setattr(scan_module, "measure", refuse)
        (reject,) = scan("folder", str(own)).rejects
    assert reject.detail == "noise2.wav: cannot be read: Permission denied"
    decoded.clear()
    assert scan("folder", str(own)).rejects == () and decoded == ["noise2.wav"]


def test_formats_beside_wav_are_read_or_named(own: Path, decoded: list[str]) -> None:
    sound = chord(generator("x"), 3.0, 22_050)
    for name, kind in (("a.au", "AU"), ("b.caf", "CAF"), ("c.w64", "W64"), ("d.rf64", "RF64")):
        soundfile.write(own / name, sound, 22_050, format=kind)
    (own / "e.mkv").write_bytes(b"\x1aE\xdf\xa3" * 99)
    found = scan("folder", str(own))
    assert {"a", "b", "c", "d"} <= {clip.clip_id for clip in found.clips}
    (reject,) = found.rejects
    assert (reject.path, reject.reason) == ("e.mkv", "undecodable")
    assert "'ffmpeg -i e.mkv e.flac' or use --decoder ffmpeg" in reject.detail


def test_without_audio_nothing_is_decoded(own: Path, decoded: list[str]) -> None:
    found = scan("folder", str(own), options=ScanOptions(with_audio=False))
    assert decoded == [] and {c.source_sha256 for c in found.clips} == {""}


def test_two_workers_measure_the_same(
    corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for jobs in (1, 2):
        monkeypatch.setenv("ROBUST_TAGGER_CACHE", str(tmp_path / f"cache{jobs}"))
        found.append(scan("folder", str(corpora.music), options=ScanOptions(jobs=jobs)))
    assert bare(found[0]) == bare(found[1])


def test_progress_counts_every_file_once(own: Path, decoded: list[str]) -> None:
    seen: list[float] = []

    class Reporter(SilentReporter):
        def track(self, description: str, total: float, unit: str) -> Any:
            assert (description, total, unit) == ("scan folder", 8, "files")
            return contextlib.nullcontext(seen.append)

    for _ in range(2):
        scan("folder", str(own), reporter=Reporter())
        assert sum(seen) == 8
        seen.clear()


def test_equal_files_are_noted(own: Path, decoded: list[str]) -> None:
    shutil.copy(own / "noise0.wav", own / "again.wav")
    assert "1 groups of byte-identical files, 2 clips" in scan("folder", str(own)).notes


def test_levels_and_lengths_are_those_of_the_samples(tmp_path: Path, decoded: list[str]) -> None:
    sound = chord(generator("x"), 3.05, 16_000)
    write_audio(tmp_path / "in/x.wav", sound, 16_000, "FLOAT")
    (clip,) = scan("folder", str(tmp_path / "in")).clips
    assert (clip.source_rate, clip.source_samples, clip.channels) == (16_000, 48_800, 1)
    assert clip.peak == pytest.approx(np.max(np.abs(sound)), abs=1e-6)
    levels = np.frombuffer(clip.rms_db, dtype=np.int8)
    assert levels.size == 31
    frame = sound[1600:3200]
    assert levels[1] == pytest.approx(10 * np.log10(np.mean(frame**2)), abs=0.6)


def test_a_cache_that_is_no_database_is_passed_over(own: Path, decoded: list[str]) -> None:
    cache_folder().mkdir()
    cache_file().write_bytes(b"this is not a database, but long enough" * 99)
    found = scan("folder", str(own))
    assert len(found.clips) == 8 and len(decoded) == 8
    assert any("scanning without it" in note for note in found.notes)
    assert not any(str(own.parent) in note for note in found.notes), "notes hold no path"


def test_a_damaged_cache_is_passed_over(own: Path, decoded: list[str]) -> None:
    """Pages overwritten in the middle of the file."""
    first = scan("folder", str(own))
    path = cache_file()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    decoded.clear()
    assert bare(scan("folder", str(own))) == bare(first)
    assert len(decoded) == 8


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"reason": 1, "x": 2}', '{"rms_db": "?"}'])
def test_a_damaged_row_is_measured_again(own: Path, decoded: list[str], text: str) -> None:
    first = scan("folder", str(own))
    with sqlite3.connect(cache_file()) as db:
        db.execute("UPDATE measured SET result = ? WHERE url LIKE '%noise3.wav'", (text,))
    db.close()
    decoded.clear()
    assert bare(scan("folder", str(own))) == bare(first) and decoded == ["noise3.wav"]


def test_a_cache_folder_that_cannot_be_made(
    own: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUST_TAGGER_CACHE", "/proc/nowhere")
    found = scan("folder", str(own))
    assert len(found.clips) == 8 and any("scanning without it" in n for n in found.notes)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROBUST_TAGGER_CACHE", "/a")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("ROBUST_TAGGER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/b/robust-tagger")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/robust-tagger"


def test_cache_by_itself(tmp_path: Path) -> None:
    measurement = Measurement(
        "0" * 64, 10, "WAV/PCM_16", 22_050, 1, 5, 0.5, 0.0, 100.0, bytes(range(256))
    )
    failure = Failure("truncated", "x: ü")
    cache = ScanCache(tmp_path)
    cache.put([("a", "1", measurement), ("b", "1", failure)])
    cache.put([("a", "2", failure)])
    cache.close()
    cache = ScanCache(tmp_path)
    assert cache.get([("a", "1"), ("b", "1"), ("a", "3")]) == {
        ("a", "1"): measurement, ("b", "1"): failure,
    }  # fmt: skip
    cache.forget("a")
    assert cache.get([("a", "1"), ("a", "2"), ("b", "1")]) == {("b", "1"): failure}
    cache.close()
    assert cache.problem == ""


def test_a_cache_that_fills_the_disk_is_no_error(
    own: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ScanCache.__init__

    def read_only(self: ScanCache, folder: Path | None = None) -> None:
        original(self, folder)
        self._db.execute("PRAGMA query_only = ON")

    monkeypatch.setattr(ScanCache, "__init__", read_only)
    found = scan("folder", str(own))
    assert len(found.clips) == 8
    assert any("results are not kept for the next scan" in note for note in found.notes)


def test_forget_drops_a_file_from_the_users_cache(own: Path, decoded: list[str]) -> None:
    scan("folder", str(own))
    decoded.clear()
    forget(str(own / "noise4.wav"))
    scan("folder", str(own))
    assert decoded == ["noise4.wav"]
