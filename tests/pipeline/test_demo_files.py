"""Files of the demo corpora: coding, breakage, writing whole or not at all, same bytes always."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pipeline.demo.write as write
from manifests.decoding import AudioError
from manifests.errors import ManifestError, UsageError
from manifests.measure import measure
from pipeline.corpora import corpus
from pipeline.corpora.files import FileTree
from pipeline.demo import (
    PRETRAIN_SONGS,
    DemoSummary,
    plan_demo_corpora,
    write_corpora,
    write_demo_corpora,
)
from pipeline.demo.breakage import BREAKAGES, broken_bytes, reject_reason
from pipeline.demo.encoding import Encoding, encode
from pipeline.demo.plans import AudioFile, CorpusPlan, NoiseContent

MTAT = Encoding("MP3", 16_000, 1, "32k")


def noisy(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(5)
    n = int(seconds * rate)
    tone = np.sin(2 * np.pi * 330.0 * np.arange(n) / rate)
    return 0.1 * tone[:, None] + 0.02 * rng.standard_normal((n, channels))


def small_plans(n_files: int) -> tuple[CorpusPlan, ...]:
    """The first files of every corpus and all of their texts."""
    return tuple(replace(one, files=one.files[:n_files]) for one in plan_demo_corpora(0))


def tree_hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# ---- Coding -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("encoding", "kbps"),
    [(MTAT, 32.0), (Encoding("MP3", 44_100, 2, "96k"), 96.0)],
)
def test_constant_rate_mp3_has_its_bit_rate(encoding: Encoding, kbps: float) -> None:
    x = noisy(6.0, encoding.sample_rate, encoding.channels)
    data = encode(x, encoding)
    assert len(data) * 8 / 6.0 / 1000 == pytest.approx(kbps, rel=0.03)
    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        assert (sound.samplerate, sound.channels) == (encoding.sample_rate, encoding.channels)
        assert len(sound.read()) >= len(x)


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding("WAV", 16_000), Encoding("WAV", 44_100, 2), Encoding("FLAC", 32_000, 2),
        Encoding("FLAC", 48_000, 1, "PCM_24"), Encoding("MP3", 44_100, 2, "96k"),
        Encoding("MP3", 44_100, 1, "vbr"),
    ],
)  # fmt: skip
def test_files_keep_length_and_sound(encoding: Encoding) -> None:
    x = noisy(2.0, encoding.sample_rate, encoding.channels)
    y, rate = soundfile.read(io.BytesIO(encode(x, encoding)), always_2d=True)
    assert rate == encoding.sample_rate and y.shape == x.shape
    error = np.sqrt(np.mean((x - y) ** 2) / np.mean(x**2))
    assert error < (0.4 if encoding.container == "MP3" else 1e-3)
    assert encode(x, encoding) == encode(x, encoding)


# ---- Breakage -----------------------------------------------------------------------------------
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_mp3_is_rejected_for_the_expected_reason(breakage: str, tmp_path: Path) -> None:
    x = noisy(9.05, 16_000)
    path = tmp_path / "a.mp3"
    path.write_bytes(encode(x, MTAT))
    measure(str(path), "a.mp3", expected_s=9.0)
    path.write_bytes(broken_bytes(breakage, x, MTAT))
    with pytest.raises(AudioError) as caught:
        measure(str(path), "a.mp3", expected_s=9.0)
    assert caught.value.reason == reject_reason(breakage)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
@pytest.mark.parametrize("breakage", ["empty", "silent", "renamed", "undecodable"])
def test_broken_lossless_file_is_rejected(breakage: str, container: str, tmp_path: Path) -> None:
    encoding = Encoding(container, 16_000)
    path = tmp_path / f"a.{container.lower()}"
    path.write_bytes(broken_bytes(breakage, noisy(3.0, 16_000), encoding))
    with pytest.raises(AudioError) as caught:
        measure(str(path), path.name)
    assert caught.value.reason == reject_reason(breakage)


def test_every_broken_file_of_the_corpora_is_rejected_as_announced(tmp_path: Path) -> None:
    for one in plan_demo_corpora(0):
        announced = {path: reason for _, path, reason in one.expected_rejects}
        for file in one.files:
            if not file.breakage:
                continue
            path = tmp_path / Path(file.path).name
            path.write_bytes(file.to_bytes(0))
            with pytest.raises(AudioError) as caught:
                measure(str(path), file.path, expected_s=np.floor(file.duration_s))
            assert caught.value.reason == announced[file.path], file.path


def test_headerless_vbr_looks_whole_to_a_careless_decoder() -> None:
    x = noisy(9.05, 16_000)
    y, _ = soundfile.read(io.BytesIO(broken_bytes("headerless vbr", x, MTAT)))
    assert 0.1 * len(x) < len(y) < 0.7 * len(x)


def test_a_cut_mp3_decodes_without_a_word() -> None:
    x = noisy(9.05, 16_000)
    y, _ = soundfile.read(io.BytesIO(broken_bytes("cut", x, MTAT)))
    assert len(y) == pytest.approx(0.5 * len(x), rel=0.05)


# ---- Writing ------------------------------------------------------------------------------------
def test_workers_and_order_do_not_change_a_byte(tmp_path: Path) -> None:
    plans = small_plans(2)
    counts = write_corpora(plans, tmp_path / "one", seed=0, jobs=1)
    again = write_corpora(plans[::-1], tmp_path / "two", seed=0, jobs=2)
    assert counts == again
    hashes = tree_hashes(tmp_path / "one")
    assert hashes == tree_hashes(tmp_path / "two")
    assert len(hashes) == sum(len(p.files) + len(p.texts) for p in plans)


def test_counts_are_those_of_the_files(tmp_path: Path) -> None:
    plans = small_plans(1)
    seen: list[tuple[int, int]] = []
    counts = write_corpora(plans, tmp_path, seed=0, progress=lambda *state: seen.append(state))
    assert seen == [(i, 5) for i in range(1, 6)]
    for one in plans:
        n_files, seconds, n_bytes = counts[one.corpus]
        paths = [tmp_path / one.folder / file.path for file in one.files]
        assert n_files == 1
        assert seconds == pytest.approx(sum(file.duration_s for file in one.files))
        assert n_bytes == sum(path.stat().st_size for path in paths)


def test_intact_files_of_every_corpus_can_be_measured(tmp_path: Path) -> None:
    plans = small_plans(3)
    write_corpora(plans, tmp_path, seed=0)
    for one in plans:
        for file in one.files:
            if file.breakage:
                continue
            url = str(tmp_path / one.folder / file.path)
            found = measure(url, file.path, expected_s=np.floor(10 * file.duration_s) / 10 - 0.05)
            assert found.source_rate == file.encoding.sample_rate
            assert found.channels == file.encoding.channels
            length_s = found.source_samples / found.source_rate
            assert length_s == pytest.approx(file.duration_s, abs=0.15)
            assert found.peak < 1.0


def test_the_copied_track_has_the_same_bytes() -> None:
    (jamendo,) = (one for one in plan_demo_corpora(0) if one.corpus == "mtg-jamendo")
    by_name: dict[str, list[AudioFile]] = {}
    for file in jamendo.files:
        by_name.setdefault(file.name, []).append(file)
    (pair,) = (files for files in by_name.values() if len(files) == 2)
    assert pair[0].path != pair[1].path
    assert pair[0].to_bytes(0) == pair[1].to_bytes(0)


def test_readers_list_the_corpora_by_their_metadata(tmp_path: Path) -> None:
    plans = small_plans(0)
    write_corpora(plans, tmp_path, seed=0)
    expected = {
        "mtat": {"train": 299, "valid": 42, "test": 109},
        "mtg-jamendo": {"train": 47 + PRETRAIN_SONGS, "valid": 6, "test": 6},
    }
    for name, counts in expected.items():
        folder = next(one.folder for one in plans if one.corpus == name)
        tree = FileTree(str(tmp_path / folder))
        listing = corpus(name).list_clips(tree, tree, {}, with_audio=False)
        splits = [clip.split for clip in listing.clips]
        assert {split: splits.count(split) for split in counts} == counts
        assert [reject.reason for reject in listing.rejects] == ["ragged"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> CorpusPlan:
    """One corpus of one short file in place of the five."""
    file = AudioFile("a.wav", NoiseContent(("rain",)), 0.5, Encoding("WAV", 16_000))
    broken = replace(file, path="b.wav", breakage="empty")
    one = CorpusPlan("musan", "musan", (file, broken), {"README": "x\n"})
    monkeypatch.setattr(
        write, "plan_demo_corpora", lambda seed, train_scale, pretrain_songs: (one,)
    )
    return one


@pytest.mark.parametrize("exists", [False, True])
def test_corpora_appear_whole(tiny: CorpusPlan, exists: bool, tmp_path: Path) -> None:
    target = tmp_path / "new" / "demo"
    if exists:
        target.mkdir(parents=True)
    summary = write_demo_corpora(target)
    assert summary == DemoSummary({"musan": (2, 1.0, 16_044)}, (("musan", "b.wav", "empty"),))
    assert set(tree_hashes(target)) == {"README.md", "musan/README", "musan/a.wav", "musan/b.wav"}
    assert "| musan | `b.wav` | empty |" in (target / "README.md").read_text()
    assert [path.name for path in target.parent.iterdir()] == ["demo"]


def test_a_folder_with_something_in_it_is_refused(tiny: CorpusPlan, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ManifestError, match="expected a new or empty folder, got one with 1 entr"):
        write_demo_corpora(tmp_path)
    with pytest.raises(ManifestError, match="expected a new or empty folder, got a file"):
        write_demo_corpora(tmp_path / "thesis.txt")
    assert list(tree_hashes(tmp_path)) == ["thesis.txt"]


def test_a_killed_run_leaves_nothing_that_looks_whole(tiny: CorpusPlan, tmp_path: Path) -> None:
    target = tmp_path / "demo"

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo_corpora(target, progress=killed)
    assert not target.exists() and (tmp_path / "demo.partial").is_dir()
    write_demo_corpora(target)
    assert target.is_dir() and not (tmp_path / "demo.partial").exists()


def test_a_folder_that_is_there_stays_the_same_one(tiny: CorpusPlan, tmp_path: Path) -> None:
    """A shell may stand in it, or a disk be mounted there, and its parent be closed to writing."""
    target = tmp_path / "demo"
    target.mkdir()
    inode = target.stat().st_ino

    def killed(done: int, total: int) -> None:
        assert [path.name for path in tmp_path.iterdir()] == ["demo"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo_corpora(target, progress=killed)
    assert [path.name for path in target.iterdir()] == [".partial"]
    write_demo_corpora(target)
    assert target.stat().st_ino == inode
    assert sorted(path.name for path in target.iterdir()) == ["README.md", "musan"]


def test_a_foreign_folder_of_the_partial_name_is_left_alone(
    tiny: CorpusPlan, tmp_path: Path
) -> None:
    foreign = tmp_path / "demo.partial"
    foreign.mkdir()
    (foreign / "notes").write_text("mine")
    with pytest.raises(ManifestError, match=r"demo\.partial: expected nothing or an unfinished"):
        write_demo_corpora(tmp_path / "demo")
    assert (foreign / "notes").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_line(tiny: CorpusPlan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match="expected to write the demo corpora there, got"):
        write_demo_corpora(tmp_path / "file" / "demo")


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--jobs: expected 1 or more, got 0"):
        write_demo_corpora(tmp_path / "demo", jobs=0)
