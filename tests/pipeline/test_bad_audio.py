"""Bad audio of every sort, with the words the user reads; odd audio that is good is built."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from numpy.typing import NDArray
from plain_reader import check_snrs, read_set
from prep_runner import Ran, run_prep, scan_of
from tiny_corpora import Corpora, chord, generator, write_audio

RATE = 22_050
GOOD = [f"good{number:02d}.wav" for number in range(20)]


def encoded(samples: NDArray[np.floating], rate: int, **how: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **how)
    return buffer.getvalue()


def write_zoo(root: Path) -> Path:
    """Write twenty good files and one of each kind of bad one."""
    sound = chord(generator("zoo"), 3.0, RATE)
    for number, name in enumerate(GOOD):
        write_audio(root / name, chord(generator("good", number), 3.0, RATE), RATE)
    mp3 = encoded(chord(generator("long"), 8.0, RATE), RATE, format="MP3", subtype="MPEG_LAYER_III")
    wav = encoded(sound, RATE, format="WAV", subtype="PCM_16")
    flac = encoded(sound, RATE, format="FLAC", subtype="PCM_16")
    nan = sound.astype(np.float32).copy()
    nan[1000] = np.nan
    files = {
        "empty.wav": b"",
        "text.mp3": b"<html>404 Not Found</html>" * 50,
        "cut.wav": wav[: len(wav) // 2],
        "cut.flac": flac[: len(flac) // 2],
        "renamed.mp3": wav,
        "halved.mp3": mp3[: len(mp3) // 3] + mp3[2 * len(mp3) // 3 :],
        "nan.wav": encoded(nan, RATE, format="WAV", subtype="FLOAT"),
        "silent.wav": encoded(np.zeros(3 * RATE), RATE, format="WAV", subtype="PCM_16"),
        "hum.wav": encoded(np.full(3 * RATE, 1e-4), RATE, format="WAV", subtype="FLOAT"),
        "offset.wav": encoded(np.full(3 * RATE, 0.3), RATE, format="WAV", subtype="FLOAT"),
        "slow.wav": encoded(sound, 1_000, format="WAV", subtype="PCM_16"),
        "fast.wav": wav[:24] + struct.pack("<I", 1_000_000) + wav[28:],
        "phone.m4a": b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00" + bytes(2000),
        "notes.wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    write_audio(root / "short.wav", chord(generator("short"), 2.6, RATE), RATE)
    late = np.concatenate([np.zeros(9 * RATE), sound])
    write_audio(root / "late.wav", late, RATE)
    return root


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def scanned(zoo: Path) -> dict[str, tuple[str, str]]:
    """Reason and detail of each reject of the scan."""
    ran = scan_of(zoo)
    assert ran.status == 0, "a scan goes on whatever it finds"
    assert ran.record["clips"] == len(GOOD) + 2  # short and late are audio, as far as a scan knows
    return {r["path"]: (r["reason"], r["detail"]) for r in ran.record["rejected"]}


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("empty.wav", "empty", "empty.wav: expected audio, got 0 bytes"),
        ("text.mp3", "undecodable", "text.mp3: Format not recognised"),
        ("cut.wav", "truncated", "cut.wav: expected 132300 bytes of audio, got "),
        ("cut.flac", "truncated", "cut.flac: expected 66150 samples, the decoder stopped after "),
        ("renamed.mp3", "renamed", "renamed.mp3: expected MP3 audio, got WAV; rename it"),
        ("nan.wav", "not-finite", "nan.wav: expected finite samples, got NaN or infinity"),
        ("silent.wav", "silent", "silent.wav: expected a frame above -60 dBFS, got zeros only"),
        ("hum.wav", "silent", "hum.wav: expected a frame above -60 dBFS, got -1"),
        ("offset.wav", "silent", "offset.wav: expected a frame above -60 dBFS, got -1"),
        ("slow.wav", "absurd-rate", "slow.wav: expected 4000 to 384000 Hz, got 1000 Hz"),
        ("fast.wav", "absurd-rate", "fast.wav: expected 4000 to 384000 Hz, got 1000000"),
        ("phone.m4a", "undecodable", "convert it with 'ffmpeg -i phone.m4a phone.flac' or use --"),
        ("notes.wav", "undecodable", "notes.wav: Error in WAV file. No 'data' chunk marker"),
        ("halved.mp3", "truncated", "halved.mp3: expected 176400 samples, decoded 1"),
    ],
)
def test_bad_audio_is_a_reject_with_its_reason(
    scanned: dict[str, tuple[str, str]], name: str, reason: str, words: str
) -> None:
    found, detail = scanned[name]
    assert found == reason
    assert words in detail


def test_no_good_file_is_rejected(scanned: dict[str, tuple[str, str]]) -> None:
    assert not set(scanned) & {*GOOD, "short.wav", "late.wav"}


def build(zoo: Path, corpora: Corpora, out: Path, *arguments: object) -> Ran:
    sources = ("--music", f"folder={zoo}", "--noise", f"musan={corpora.musan}")
    return run_prep("build-shards", *sources, "--snr", 0, "--jobs", 1, "--out", out, *arguments)


def test_more_than_five_percent_stop_before_rendering(
    zoo: Path, corpora: Corpora, tmp_path: Path, scanned: dict[str, tuple[str, str]]
) -> None:
    ran = build(zoo, corpora, tmp_path / "set")
    n_rejects, n_listed = len(scanned) + 2, len(scanned) + len(GOOD) + 2
    assert (ran.status, ran.out) == (1, "")
    assert ran.error.startswith(
        f"prep: folder: expected at most 5 % rejects, got {n_rejects} of {n_listed} clips: "
    )
    assert ran.error.endswith(". Mend the copy or raise --max-reject-percent")
    assert not (tmp_path / "set").exists()


def test_the_limit_can_be_raised_and_every_reject_is_in_the_table(
    zoo: Path, corpora: Corpora, tmp_path: Path, scanned: dict[str, tuple[str, str]]
) -> None:
    ran = build(zoo, corpora, tmp_path / "set", "--max-reject-percent", 100)
    assert ran.status == 0, ran.err
    assert check_snrs(read_set(tmp_path / "set")) == len(GOOD)
    rows = pq.read_table(tmp_path / "set/rejects.parquet").to_pylist()
    found = {row["path"]: (row["reason"], row["detail"]) for row in rows}
    plan = {
        "short.wav": ("too-short", "short.wav: expected at least 2.678 s, got 2.600 s"),
        "late.wav": ("inactive", "late.wav: expected a span with sound in half of it, got none"),
    }
    assert found == {**scanned, **plan}
    assert {row["stage"] for row in rows} == {"scan", "plan"}
    card = (tmp_path / "set/README.md").read_text()
    assert "| folder | truncated |" in card and "| folder | too-short | 1 |" in card


def test_the_shortest_duration_can_be_chosen(zoo: Path, corpora: Corpora, tmp_path: Path) -> None:
    arguments = ("--max-reject-percent", 100, "--min-duration-s", 2.5, "--excerpt-s", "auto")
    ran = build(zoo, corpora, tmp_path / "set", *arguments)
    assert ran.status == 0, ran.err
    assert len(read_set(tmp_path / "set")) == len(GOOD) + 1


def test_a_folder_of_silence_says_so(corpora: Corpora, tmp_path: Path) -> None:
    for number in range(3):
        write_audio(tmp_path / f"music/{number}.wav", np.zeros(3 * RATE), RATE)
    ran = build(tmp_path / "music", corpora, tmp_path / "set")
    assert ran.status == 1
    assert ran.error == (
        "prep: folder: expected music clips of split train, got none; usable clips by split: none; "
        "rejects: 3 silent (e.g. 0.wav: expected a frame above -60 dBFS, got zeros only)"
    )


def test_audio_that_somebody_else_may_not_be_able_to_list(tmp_path: Path, corpora: Corpora) -> None:
    """A dangling link and a loop of links are no files; the rest is."""
    write_audio(tmp_path / "music/a.wav", chord(generator("a"), 3.0, RATE), RATE)
    (tmp_path / "music/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "music/loop").symlink_to(tmp_path / "music")
    ran = scan_of(tmp_path / "music")
    assert ran.status == 0 and ran.record["clips"] == 1


def test_a_broken_file_with_a_line_end_in_its_name_is_one_line(
    corpora: Corpora, tmp_path: Path
) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music/two\nlines\x1b[31m.wav").write_bytes(b"")
    ran = build(tmp_path / "music", corpora, tmp_path / "set")
    assert ran.status == 1
    assert "\n" not in ran.error.strip() and "\x1b" not in ran.error
    assert "two\\nlines" in ran.error


def test_an_end_to_end_run_on_music_of_every_sort(corpora: Corpora, tmp_path: Path) -> None:
    """8 bit, 24 bit, float, u-law, Ogg, Opus, MP3, AIFF, six channels, 8 to 192 kHz."""
    root = tmp_path / "music"
    kinds = [
        ("a.wav", 8_000, "PCM_U8"), ("b.wav", 11_025, "PCM_24"), ("c.wav", 192_000, "FLOAT"),
        ("d.wav", 8_000, "ULAW"), ("e.ogg", 44_100, "VORBIS"), ("f.opus", 48_000, "OPUS"),
        ("g.mp3", 32_000, "MPEG_LAYER_III"), ("h.aiff", 44_100, "PCM_16"),
        ("i.wav", 37_800, "DOUBLE"), ("j.wav", 22_050, "MS_ADPCM"), ("k.flac", 96_000, "PCM_24"),
    ]  # fmt: skip
    for name, rate, subtype in kinds:
        kind = {"opus": "OGG"}.get(name.split(".")[1])
        path = root / name
        path.parent.mkdir(exist_ok=True)
        sound = chord(generator(name), 3.2, rate)
        soundfile.write(path, sound, rate, subtype=subtype, format=kind)
    six = np.stack([chord(generator("six", i), 3.2, 48_000) for i in range(6)], axis=1)
    write_audio(root / "l.wav", six, 48_000)
    ran = build(root, corpora, tmp_path / "set", "--halves", "none", "--snr", 10)
    assert ran.status == 0, ran.err
    found = read_set(tmp_path / "set")
    assert check_snrs(found) == 2 * 12
    assert all(e.pcm["clean"].size in range(70_400, 71_700) for e in found)
    assert run_prep("verify", tmp_path / "set", "--jobs", 1).status == 0
