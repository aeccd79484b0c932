"""Count the frames of an MP3 from their headers, to see what a decoder does not say.

libmpg123 decodes a file that was cut in half without any error, and libsndfile returns a third of
a headerless VBR file (both measured), so the number of samples that the headers promise is the
only witness. Header layout: ISO/IEC 11172-3 section 2.4.2.3, MPEG-2 and 2.5 extensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BITRATES_V1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_V2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES: Final = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
MP3_SUFFIXES: Final = (".mp3", ".mp2", ".mpga")
"""How the names of MP3s end."""
MAX_JUNK_BYTES: Final = 1 << 20
"""How far behind the ID3v2 tags a first frame is looked for."""
_CHAIN: Final = 4
"""Like frames in a row that make a beginning; a sync pattern in junk has no such row behind it."""
_ID3V2: Final = re.compile(rb"ID3[\x02-\x04][^\xff].([\x00-\x7f]{4})", re.DOTALL)
"""Version and flags, then a size of 7 bits a byte: any other "ID3" is audio data or damage."""
_SYNC: Final = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
"""Eleven ones, a version in use, layer III, with or without checksum."""


@dataclass(frozen=True)
class Mp3Frames:
    """What the headers of an MP3 say.

    Attributes:
        n_frames: audio frames found, without the Xing/Info/VBRI frame.
        samples_per_frame: 1,152 for MPEG-1, 576 for MPEG-2 and 2.5.
        sample_rate: Hz, of the first frame.
        announced_frames: frames that the Xing/Info/VBRI header announces; None without one.
        junk_bytes: bytes between the first and the last frame that belong to no frame or tag, and
            those behind the last where they hold frames of another sample rate.
    """

    n_frames: int
    samples_per_frame: int
    sample_rate: int
    announced_frames: int | None
    junk_bytes: int

    @property
    def n_samples(self) -> int:
        """Samples per channel that the frames hold, encoder delay and padding included."""
        return self.n_frames * self.samples_per_frame


@dataclass(frozen=True)
class _Header:
    version: int
    sample_rate: int
    n_bytes: int
    mono: bool

    @property
    def samples(self) -> int:
        return 1152 if self.version == 3 else 576


def _header(data: bytes, at: int) -> _Header | None:
    """Parse a layer III header, None where there is none (or it is free-format)."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = (data[at + 1] >> 3) & 3, (data[at + 1] >> 1) & 3
    bitrate, rate = data[at + 2] >> 4, (data[at + 2] >> 2) & 3
    if version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return None
    kbps = (_BITRATES_V1 if version == 3 else _BITRATES_V2)[bitrate]
    sample_rate = _RATES[version][rate]
    padding = (data[at + 2] >> 1) & 1
    n_bytes = (144 if version == 3 else 72) * kbps * 1000 // sample_rate + padding
    return _Header(version, sample_rate, n_bytes, data[at + 3] >> 6 == 3)


def _skip_id3v2(data: bytes, at: int) -> int:
    """Return where the tags that begin here end; one that reaches beyond the file's end is none."""
    while match := _ID3V2.match(data, at):
        size = 0
        for byte in match[1]:
            size = size << 7 | byte
        end = at + 10 + size + (10 if data[at + 5] & 0x10 else 0)
        if end > len(data):
            break
        at = end
    return at


def _skip_tag(data: bytes, at: int) -> int:
    """Return where a tag that begins here ends; ``at`` itself where none does."""
    if data.startswith(b"TAG", at):
        return at + 128
    if data.startswith(b"APETAGEX", at):
        size = int.from_bytes(data[at + 12 : at + 16], "little")
        is_header = int.from_bytes(data[at + 20 : at + 24], "little") >> 29 & 1
        return at + 32 + (size if is_header else 0)
    return _skip_id3v2(data, at)


def _announced(data: bytes, at: int, header: _Header) -> tuple[bool, int | None]:
    """Tell whether the frame is a Xing/Info/VBRI header and how many frames it announces."""
    side = (17 if header.mono else 32) if header.version == 3 else (9 if header.mono else 17)
    tag = at + 4 + side
    if data[tag : tag + 4] in (b"Xing", b"Info"):
        has_frames = data[tag + 7] & 1 if tag + 8 <= len(data) else 0
        return True, int.from_bytes(data[tag + 8 : tag + 12], "big") if has_frames else None
    if data[at + 36 : at + 40] == b"VBRI":
        return True, int.from_bytes(data[at + 50 : at + 54], "big")
    return False, None


def first_frame(data: bytes) -> int | None:
    """Return where the first layer III frame stands that three like it follow; None without one."""
    begin = _skip_id3v2(data, 0)
    for sync in _SYNC.finditer(data, begin, begin + MAX_JUNK_BYTES):
        if _begins_chain(data, sync.start()):
            return sync.start()
    return None


def _begins_chain(data: bytes, at: int) -> bool:
    kinds = set()
    for _ in range(_CHAIN):
        header = _header(data, at)
        if header is None:
            return False
        kinds.add((header.version, header.sample_rate))
        at += header.n_bytes
    return len(kinds) == 1


def count_frames(data: bytes) -> Mp3Frames | None:
    """Walk the frames of a whole MP3 file.

    A frame counts when its header is followed by another frame, a tag or the end of the file, so
    that a sync pattern inside audio data is not taken for a frame after a hole. Frames behind a tag
    count too: files that were joined have one in the middle.

    Args:
        data: the file's bytes.

    Returns:
        The count, or None where no layer III frame with a bit rate is found (not an MP3, or a
        free-format one).
    """
    at = _skip_id3v2(data, 0)
    first: _Header | None = None
    announced: int | None = None
    n_frames = junk = pending = end = 0
    while at + 4 <= len(data):
        header = _header(data, at)
        if header is None or not _plausible(data, at, header, first):
            if (behind := _skip_tag(data, at)) > at:
                at = behind
                continue
            sync = _SYNC.search(data, at + 1)
            found = sync.start() if sync else len(data)
            pending += found - at
            at = found
            continue
        if first is None:
            first, pending = header, 0
            is_tag, announced = _announced(data, at, header)
            n_frames = 0 if is_tag else 1
        else:
            junk, pending, n_frames = junk + pending, 0, n_frames + 1
        at += header.n_bytes
        end = at
    if first is None:
        return None
    if pending and first_frame(data[end:]) is not None:  # another file, of another sample rate
        junk += pending
    return Mp3Frames(n_frames, first.samples, first.sample_rate, announced, junk)


def _plausible(data: bytes, at: int, header: _Header, first: _Header | None) -> bool:
    if first is not None and (header.version, header.sample_rate) != (
        first.version,
        first.sample_rate,
    ):
        return False
    after = at + header.n_bytes
    if after + 4 > len(data):
        return first is not None and after <= len(data)
    if data.startswith((b"TAG", b"APETAGEX", b"ID3"), after):
        return True
    following = _header(data, after)
    return following is not None or (first is not None and not any(data[after : after + 4]))
