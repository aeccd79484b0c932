"""Files that are broken on purpose, each in a way that real copies of the corpora are.

Every function takes the waveform, shape (n, channels), and the encoding that the file should have
had, and returns the bytes that are written instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.demo.encoding import Encoding, encode
from pipeline.demo.oscillators import Signal

_HOLE_BYTES: Final = 900
_MPEG2_KBPS: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_KBPS: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def _empty(waveform: Signal, encoding: Encoding) -> bytes:
    return b""


def _cut(waveform: Signal, encoding: Encoding) -> bytes:
    """Keep the first half, as a download that was interrupted; MP3 decoders do not complain."""
    data = encode(waveform, encoding)
    return data[: len(data) // 2]


def _holed(waveform: Signal, encoding: Encoding) -> bytes:
    """Overwrite 900 bytes in the middle by zeros, as a bad transfer does.

    libmpg123 gives up after 1,024 bytes without a frame; over a shorter hole it jumps without a
    word, and the music after it comes too early.
    """
    data = encode(waveform, encoding)
    start = 2 * len(data) // 5
    return data[:start] + bytes(_HOLE_BYTES) + data[start + _HOLE_BYTES :]


def _headerless_vbr(waveform: Signal, encoding: Encoding) -> bytes:
    """Take the Xing frame from a VBR file whose beginning needs more bits than the rest.

    Decoders then guess the length from the first frame's bit rate and stop too soon.
    """
    n_loud = len(waveform) // 20
    uneven = 0.2 * waveform
    # A clipped beginning is full of high harmonics, which cost bits.
    uneven[:n_loud] = 0.4 * np.sign(waveform[:n_loud])
    data = encode(uneven, replace(encoding, coding="vbr"))
    return data[_frame_bytes(data, encoding.sample_rate) :]


def _frame_bytes(data: bytes, sample_rate: int) -> int:
    """Return the length of the MP3 frame that the data begin with (ISO/IEC 11172-3, 2.4.3.1)."""
    mpeg1 = (data[1] >> 3) & 3 == 3
    kbps = (_MPEG1_KBPS if mpeg1 else _MPEG2_KBPS)[data[2] >> 4]
    return (144 if mpeg1 else 72) * kbps * 1000 // sample_rate + ((data[2] >> 1) & 1)


def _silent(waveform: Signal, encoding: Encoding) -> bytes:
    return encode(np.zeros_like(waveform), encoding)


def _renamed(waveform: Signal, encoding: Encoding) -> bytes:
    """Write another container than the name says: WAV for MP3, FLAC for WAV."""
    container = {"MP3": "WAV", "WAV": "FLAC", "FLAC": "WAV"}[encoding.container]
    return encode(waveform, encoding.lossless_twin(container))


def _undecodable(waveform: Signal, encoding: Encoding) -> bytes:
    """Save a server's error page under the name of the audio file."""
    page = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\n<body>\n"
    return (page + "<p>The requested file was not found on this server.</p>\n" * 40).encode()


_BREAKERS: Final[dict[str, tuple[str, Callable[[Signal, Encoding], bytes]]]] = {
    "empty": ("empty", _empty),
    "cut": ("truncated", _cut),
    "holed": ("damaged", _holed),
    "headerless vbr": ("truncated", _headerless_vbr),
    "silent": ("silent", _silent),
    "renamed": ("renamed", _renamed),
    "undecodable": ("undecodable", _undecodable),
}

BREAKAGES: Final = tuple(_BREAKERS)
"""Names of the ways in which a file can be broken."""


def broken_bytes(breakage: str, waveform: Signal, encoding: Encoding) -> bytes:
    """Return the bytes of a broken file.

    Args:
        breakage: one of ``BREAKAGES``.
        waveform: what the file should hold, shape (n, channels).
        encoding: how the file should be written.

    Returns:
        The bytes; the same on every call.
    """
    return _BREAKERS[breakage][1](waveform, encoding)


def reject_reason(breakage: str) -> str:
    """Return the word under which a scan rejects a file broken in this way."""
    return _BREAKERS[breakage][0]
