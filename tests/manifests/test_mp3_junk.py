"""MP3s with something before their first frame: the same samples by path, from memory and cut."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
import pytest
from tiny_sounds import mp3_bytes, uneven_music

from manifests.audio import AudioError, open_audio
from manifests.measure import measure
from manifests.mp3 import count_frames, first_frame
from manifests.reading import ReadOptions, read_span

RATE = 44_100
ID3V2 = b"ID3\x04\x00\x00" + bytes([0, 0, 8, 0]) + bytes(1_024)
JUNK = {
    "zeros": bytes(200),
    "ones": b"\xff" * 300,
    "padding behind ID3v2": ID3V2 + bytes(700),
    "radio": b"ICY 200 OK\r\nicy-name: radio\r\n\r\n",
    "noise": np.random.default_rng(0).bytes(20_000),
    "one frame header": b"\xff\xfb\x90\x00" + bytes(300),
}


@functools.cache
def encoded(mode: str) -> bytes:
    return mp3_bytes(uneven_music(4 * RATE, RATE), RATE, mode)


def samples(source: Path | io.BytesIO, name: str) -> np.ndarray:
    with open_audio(source, name) as (_, blocks):
        return np.concatenate(list(blocks))


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_before_the_first_frame_changes_no_sample(
    tmp_path: Path, junk: bytes, mode: str
) -> None:
    whole = samples(io.BytesIO(encoded(mode)), "a.mp3")
    data = junk + encoded(mode)
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        assert np.array_equal(samples(source, "x/a.mp3"), whole)
    assert first_frame(data) == len(junk)
    assert measure(str(path), "x/a.mp3").source_samples == len(whole)
    assert count_frames(data) == count_frames(encoded(mode))


def test_a_span_is_the_same_by_path_and_from_memory(tmp_path: Path) -> None:
    data = bytes(200) + encoded("VARIABLE")
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    options = ReadOptions()
    spans = [
        read_span(
            str(path),
            "a.mp3",
            source_rate=RATE,
            start=11_025,
            n_samples=22_050,
            options=options,
            data=held,
        )
        for held in (None, data)
    ]
    assert np.array_equal(*spans)


def test_only_what_is_called_an_mp3_is_searched_for_one(tmp_path: Path) -> None:
    """Audio of another container, such as a film's, is no file to be read from its middle."""
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(200) + encoded("CONSTANT"))
    with pytest.raises(AudioError, match=r"^a\.wav: Format not recognised$"):
        measure(str(path), "a.wav")


def test_a_frame_that_few_follow_is_no_beginning() -> None:
    assert first_frame(b"\xff\xfb\x90\x00" + bytes(413)) is None
    assert first_frame(b"") is None
    assert first_frame(bytes(2 << 20) + encoded("CONSTANT")) is None
