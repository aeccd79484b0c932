"""Decode and encode audio files: the only module that imports soundfile.

Files are decoded linearly in blocks, never by seek: after a seek in MP3 the samples differ from a
linear decode (measured: 20 of 20 VBR reads, 12 of 20 at 32 kbps CBR).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
import soundfile

from manifests.decoder_messages import decoder_messages
from manifests.decoding import BLOCK_FRAMES, AudioError, AudioHeader, Block
from manifests.errors import UsageError
from manifests.ffmpeg import expect_ffmpeg, open_ffmpeg
from manifests.mp3 import MP3_SUFFIXES, first_frame
from manifests.signal import Pcm, Signal

__all__ = [
    "BLOCK_FRAMES",
    "CODECS",
    "DECODERS",
    "MAX_SAMPLES",
    "NEEDS_FFMPEG",
    "AudioError",
    "AudioHeader",
    "Block",
    "decode_crop",
    "decode_pcm",
    "decoder_messages",
    "decoder_version",
    "encode_pcm",
    "expect_decoder",
    "open_audio",
    "pcm_sha256",
    "to_mono",
]

DECODERS: Final = ("soundfile", "ffmpeg")
CODECS: Final = ("flac", "wav")
MAX_SAMPLES: Final = 1 << 30
"""Longest member that is decoded: 13.5 h, 2 GiB. A hostile header may announce 2**36 samples."""
_UNKNOWN_LENGTH: Final = 1 << 62
NEEDS_FFMPEG: Final = (".m4a", ".mp4", ".aac", ".webm", ".wma", ".mkv")


@contextlib.contextmanager
def open_audio(
    file: IO[bytes] | Path, name: str, decoder: str = "soundfile"
) -> Iterator[tuple[AudioHeader, Iterator[Block]]]:
    """Open audio for one linear pass.

    Args:
        file: a local path, or a binary file that can seek.
        name: for messages.
        decoder: ``soundfile`` or ``ffmpeg``.

    Yields:
        The header, and an iterator over blocks of shape ``(n <= 65536, channels)``, float64.

    Raises:
        AudioError: it cannot be decoded.
        UsageError: unknown decoder, or ffmpeg is missing.
    """
    if decoder == "soundfile":
        with _open_soundfile(file, name) as opened:
            yield opened
    elif decoder == "ffmpeg":
        with open_ffmpeg(file, name) as opened:
            yield opened
    else:
        raise UsageError(f"decoder {decoder!r}: expected one of {', '.join(DECODERS)}")


def _conversion(name: str) -> str:
    """Return what to do with a file for ffmpeg: a line that a shell takes as it stands."""
    base = name.rsplit("/", 1)[-1]
    base = f"./{base}" if base.startswith("-") else base
    line = shlex.join(["ffmpeg", "-i", base, base.rsplit(".", 1)[0] + ".flac"])
    quoted = line if "'" in line else f"'{line}'"
    return f"convert it with {quoted} or use --decoder ffmpeg"


def expect_decoder(decoder: str) -> None:
    """Raise UsageError where a decoder's program is missing, before any file is tried with it."""
    if decoder == "ffmpeg":
        expect_ffmpeg()


class _LinearFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that never seeks by itself.

    soundfile seeks to where it already stands after every read. In MP3 that makes libmpg123 jump
    by the Xing table: from the second block on, a VBR file came out up to 16,000 LSB off
    (measured, soundfile 0.14, libsndfile 1.2.2). A file that says it cannot seek is left alone.
    """

    def seekable(self) -> bool:
        return False


class _StoppedEarly(soundfile.SoundFileError):  # type: ignore[misc]
    """The decoder gave up within the file."""


@contextlib.contextmanager
def _open_soundfile(
    file: IO[bytes] | Path, name: str
) -> Iterator[tuple[AudioHeader, Iterator[Block]]]:
    said: list[str] = []
    try:
        with decoder_messages(said), _linear_file(file, name) as sound:
            header = AudioHeader(
                format=f"{sound.format}/{sound.subtype}",
                sample_rate=sound.samplerate,
                channels=sound.channels,
                n_samples=_announced(sound),
                notes=sound.extra_info,
            )
            yield header, _blocks(sound)
    except _StoppedEarly as error:
        raise AudioError("truncated", f"{name}: {error}{_spoken(said)}") from error
    except soundfile.SoundFileError as error:
        hint = ""
        if name.lower().endswith(NEEDS_FFMPEG):
            hint = f"; libsndfile does not read this format: {_conversion(name)}"
        raise AudioError("undecodable", f"{name}: {_text(error)}{hint}{_spoken(said)}") from error


@contextlib.contextmanager
def _linear_file(file: IO[bytes] | Path, name: str) -> Iterator[_LinearFile]:
    """Open a file for libsndfile, which is never told its path.

    By a path it goes by the name where the content tells it nothing: a web page called ``x.au``
    becomes noise, and what decodes from a disk does not from memory or an object store.
    """
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_opened(file, name)) if isinstance(file, Path) else file
        try:
            sound = _LinearFile(opened)
        except TypeError as error:  # a name like x.raw: soundfile wants rate and channels
            raise soundfile.SoundFileError("headerless samples, no format to go by") from error
        except soundfile.SoundFileError:
            trimmed = _without_junk(opened, name)
            if trimmed is None:
                raise
            sound = _LinearFile(trimmed)
        yield stack.enter_context(sound)


def _opened(path: Path, name: str) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise AudioError("undecodable", f"{name}: cannot be read: {error.strerror}") from error


def _without_junk(file: IO[bytes], name: str) -> IO[bytes] | None:
    """Return an MP3 from its first frame on: libsndfile knows it by its first bytes alone.

    Padding, an APEv2 tag or the answer of a radio server may stand before. None where there is no
    frame, or nothing before it.
    """
    if not name.lower().endswith(MP3_SUFFIXES):
        return None
    file.seek(0)
    data = file.read()
    at = first_frame(data)
    return io.BytesIO(data[at:]) if at else None


def _announced(sound: _LinearFile) -> int | None:
    """Return the length in the header; None for FLAC of an encoder that wrote to a pipe.

    libsndfile then says the largest number that it has.
    """
    frames = int(sound.frames)
    return frames if frames < _UNKNOWN_LENGTH else None


def _blocks(sound: _LinearFile) -> Iterator[Block]:
    decoded = 0
    while True:
        try:
            block: Block = sound.read(BLOCK_FRAMES, dtype="float64", always_2d=True)
        except soundfile.SoundFileError as error:
            announced = _announced(sound)
            expected = "further" if announced is None else announced
            raise _StoppedEarly(
                f"expected {expected} samples, the decoder stopped after {decoded}: {_text(error)}"
            ) from error
        if not len(block):
            return
        decoded += len(block)
        yield block


def _text(error: Exception) -> str:
    """Return what libsndfile says, without paths and addresses of this machine."""
    text = str(getattr(error, "error_string", error)).replace("\n", " ").strip().rstrip(".")
    # What it says of an MP3 in which libmpg123 finds no frame; the file is there and open.
    return "no audio found in it" if text.startswith("File does not exist") else text


def _spoken(said: list[str]) -> str:
    return f" (decoder: {said[0]})" if said else ""


def to_mono(block: Block) -> Signal:
    """Return the average over channels of ``(n, channels)`` as ``(n,)``."""
    if block.shape[1] == 1:
        return block[:, 0]
    mono: Signal = block[:, 0] + block[:, 1]  # by columns: four times as fast as sum(axis=1)
    for channel in range(2, block.shape[1]):
        mono += block[:, channel]
    mono /= block.shape[1]
    return mono


def encode_pcm(pcm: Pcm, sample_rate: int, codec: str) -> bytes:
    """Encode 16-bit mono samples ``(n,)`` as FLAC or WAV; lossless, the same bytes every time.

    Raises:
        UsageError: unknown codec.
    """
    if codec not in CODECS:
        raise UsageError(f"codec {codec!r}: expected one of {', '.join(CODECS)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, format=codec.upper(), subtype="PCM_16")
    return buffer.getvalue()


def decode_pcm(data: bytes, name: str, n_samples: int | None = None) -> tuple[Pcm, int]:
    """Decode a member of a set.

    Args:
        data: the member's bytes.
        name: for messages.
        n_samples: length that the sidecar states; a header that announces another one is refused
            before anything is decoded (a few kB of FLAC can unpack to gigabytes).

    Returns:
        Samples ``(n,)`` int16, and the sample rate in Hz.

    Raises:
        AudioError: it is not 16-bit mono audio, or does not decode.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            if sound.channels != 1 or sound.subtype != "PCM_16":
                raise AudioError(
                    "undecodable",
                    f"{name}: expected 16-bit mono, got {sound.subtype} with "
                    f"{sound.channels} channels",
                )
            if n_samples is not None and sound.frames != n_samples:
                raise AudioError(
                    "truncated", f"{name}: expected {n_samples} samples, got {sound.frames}"
                )
            if sound.frames > MAX_SAMPLES:
                raise AudioError(
                    "undecodable",
                    f"{name}: expected at most {MAX_SAMPLES} samples, got {sound.frames}",
                )
            pcm: Pcm = sound.read(dtype="int16")
            if len(pcm) != sound.frames:
                raise AudioError(
                    "truncated", f"{name}: expected {sound.frames} samples, got {len(pcm)}"
                )
            return pcm, sound.samplerate
    except soundfile.SoundFileError as error:
        raise AudioError("undecodable", f"{name}: {_text(error)}") from error


def pcm_sha256(pcm: Pcm) -> str:
    """Return the SHA-256 of samples as little-endian int16: equal for any lossless coding."""
    return hashlib.sha256(np.ascontiguousarray(pcm, dtype="<i2").data).hexdigest()


def decoder_version(decoder: str) -> str:
    """Return the decoder's name and version, for the fingerprint of a set."""
    if decoder == "soundfile":
        return f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__})"
    program = shutil.which("ffmpeg")
    if program is None:
        return "ffmpeg not found"
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:3])


def decode_crop(data: bytes | io.RawIOBase, name: str, start: int, n_samples: int) -> Pcm:
    """Decode only samples ``start`` to ``start + n_samples`` of a lossless member.

    Seeking is exact in FLAC and WAV, so a crop costs a fraction of the whole.

    Args:
        data: the member's bytes, or a file of them that can seek, wherever it stands.
        name: for messages.
        start: first sample.
        n_samples: how many.

    Returns:
        ``(n_samples,)``, int16.

    Raises:
        AudioError: not 16-bit mono FLAC or WAV, or shorter than the crop needs.
    """
    try:
        file = io.BytesIO(data) if isinstance(data, bytes) else data
        file.seek(0)
        with _LinearFile(file) as sound:  # a seek after the read would decode two frames more
            if sound.format not in ("FLAC", "WAV") or sound.channels != 1:
                raise AudioError(
                    "undecodable", f"{name}: expected mono FLAC or WAV, got {sound.format}"
                )
            if not 0 <= start <= sound.frames - n_samples:
                raise AudioError(
                    "truncated",
                    f"{name}: expected samples {start} to {start + n_samples}, got {sound.frames}",
                )
            sound.seek(start)
            pcm: Pcm = sound.read(n_samples, dtype="int16")
            if len(pcm) != n_samples:
                raise AudioError(
                    "truncated", f"{name}: expected {n_samples} samples, got {len(pcm)}"
                )
            return pcm
    except soundfile.SoundFileError as error:
        raise AudioError("undecodable", f"{name}: {_text(error)}") from error
