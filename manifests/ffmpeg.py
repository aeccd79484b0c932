"""Decode with the ffmpeg program, for what libsndfile does not read (m4a, webm, wma)."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from manifests.decoding import BLOCK_FRAMES, AudioError, AudioHeader, Block
from manifests.errors import ManifestError, UsageError


def finds_ffmpeg() -> bool:
    """Tell whether both programs are there."""
    return all(shutil.which(program) for program in ("ffmpeg", "ffprobe"))


def expect_ffmpeg() -> None:
    """Raise UsageError where the programs are missing."""
    if not finds_ffmpeg():
        raise UsageError(
            "--decoder ffmpeg: the ffmpeg and ffprobe programs are not found; install ffmpeg or "
            "use --decoder soundfile"
        )


@contextlib.contextmanager
def open_ffmpeg(file: IO[bytes] | Path, name: str) -> Iterator[tuple[AudioHeader, Iterator[Block]]]:
    """Open audio for one linear pass; see ``manifests.audio.open_audio``.

    Raises:
        AudioError: it cannot be decoded.
        UsageError: ffmpeg or ffprobe is missing.
    """
    expect_ffmpeg()
    with contextlib.ExitStack() as stack:
        path = file if isinstance(file, Path) else stack.enter_context(_spilled(file, name))
        header = _probe(path, name)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-vn"]
        command += ["-map", "0:a:0", "-f", "f64le", "-acodec", "pcm_f64le", "pipe:1"]
        # A file, not a pipe: nobody reads it meanwhile, and a full pipe would stop ffmpeg.
        said = stack.enter_context(tempfile.TemporaryFile())
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
        )
        stack.callback(process.kill)
        yield header, _blocks(process, said, header.channels, name)


@contextlib.contextmanager
def _spilled(file: IO[bytes], name: str) -> Iterator[Path]:
    """Copy a remote file to a local one: ffmpeg needs to seek in some containers."""
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix) as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)


def _probe(path: Path, name: str) -> AudioHeader:
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries"]
    command += ["stream=codec_name,sample_rate,channels,duration:format=format_name", "-of", "json"]
    done = subprocess.run([*command, f"file:{path}"], capture_output=True, check=False)
    record = json.loads(done.stdout or b"{}") if done.returncode == 0 else {}
    streams = record.get("streams", [])
    if not streams:
        raise AudioError("undecodable", f"{name}: ffprobe: {_last_line(done.stderr, path)}")
    stream = streams[0]
    container = record["format"]["format_name"].split(",")[0]
    sample_rate = int(stream["sample_rate"])
    # The index of an MP4 states the length of each stream; elsewhere ffprobe may be guessing.
    stated = container == "mov" and "duration" in stream
    return AudioHeader(
        format=f"{container}/{stream['codec_name']}".upper(),
        sample_rate=sample_rate,
        channels=int(stream["channels"]),
        n_samples=round(float(stream["duration"]) * sample_rate) if stated else None,
    )


def _blocks(
    process: subprocess.Popen[bytes], said: IO[bytes], channels: int, name: str
) -> Iterator[Block]:
    if process.stdout is None:
        raise ManifestError(f"{name}: ffmpeg gave no output pipe")
    while data := process.stdout.read(BLOCK_FRAMES * channels * 8):
        whole = len(data) // (channels * 8) * channels
        yield np.frombuffer(data, dtype="<f8", count=whole).reshape(-1, channels)
    if process.wait() != 0:
        said.seek(0)
        raise AudioError("undecodable", f"{name}: ffmpeg: {_last_line(said.read(), Path())}")


def _last_line(said: bytes, path: Path) -> str:
    """Return the last line that a program said, without the path of this machine."""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix(f"file:{path}: ") if lines else "no audio in it"
