"""A tagger on ordinary audio files: their chunks, what it says of them, and where that is kept."""

from __future__ import annotations

import contextlib
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from manifests import store
from manifests.errors import ManifestError
from manifests.reading import ReadOptions, read_pieces
from manifests.rows import SAMPLE_RATE
from manifests.signal import power, power_db
from trainer.evaluation.model import TorchPredict
from trainer.level import QUIETEST_DBFS
from trainer.tagger import Tagger

MINUTE: Final = 60 * SAMPLE_RATE
"""Audio held at once, samples: an hour or a day takes no more memory than a song."""

CHUNKS_AT_ONCE: Final = 32
"""Chunks that go through the network at once; a minute of audio has 22 of 2.7 s."""


def file_chunks(
    url: str, tagger: Tagger, decoder: str = "soundfile"
) -> Iterator[NDArray[np.float32]]:
    """Read an audio file of any rate and length as the model's chunks, about a minute at a time.

    Files shorter than one chunk are padded with silence, others lose their tail. The mean of each
    minute is removed, as from every example of a set.

    Args:
        url: path or URL.
        tagger: gives the band limit.
        decoder: see ``manifests.audio.DECODERS``.

    Yields:
        (n_chunks, 1, T), T being the encoder's ``chunk_samples``.

    Raises:
        ManifestError: there is no such file, it does not decode, is empty or silent, or holds no
            finite numbers; what was read before is then of no use.
    """
    if store.is_local(url) and not (path := store.local_path(url)).is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise ManifestError(f"{url}: expected an audio file, got {found}")
    length = tagger.encoder.chunk_samples
    together = length * max(1, MINUTE // length)
    options = ReadOptions(decoder=decoder, band_hz=tagger.band_hz)
    n_samples, energy = 0, 0.0
    for signal in read_pieces(url, together, options=options):
        if not np.isfinite(signal).all():
            raise ManifestError(f"{url}: expected finite samples, got others; write the file again")
        signal = signal - signal.mean()
        energy += power(signal) * signal.size
        n_samples += signal.size
        if n_samples < length:  # the whole file
            signal = np.pad(signal, (0, length - signal.size))
        n_chunks = signal.size // length
        if n_chunks:
            whole = signal[: n_chunks * length].reshape(n_chunks, 1, length)
            yield whole.astype(np.float32)
    if not n_samples or power_db(energy / n_samples) < QUIETEST_DBFS:
        raise ManifestError(f"{url}: expected sound, got {n_samples:,} silent samples")


def predict_chunks(
    predict: TorchPredict, chunks: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score chunks (n, 1, T), a few at a time.

    Returns:
        Tag probabilities (n, n_tags) and embeddings (n, D).
    """
    pieces = [
        predict(chunks[start : start + CHUNKS_AT_ONCE])
        for start in range(0, len(chunks), CHUNKS_AT_ONCE)
    ]
    probabilities, embeddings = zip(*pieces, strict=True)
    return np.concatenate(probabilities), np.concatenate(embeddings)


def write_arrays(path: Path, arrays: Iterable[tuple[str, NDArray[np.float32]]]) -> int:
    """Write a NumPy archive (.npz) with an array per name, whatever the names are, as they come.

    The file is there when all are written, and is not where there are none; pipes and devices are
    written to as they are. What goes wrong in ``arrays`` is raised as it is.

    Returns:
        How many arrays were written.

    Raises:
        ManifestError: the file cannot be written; said before the first array is asked for.
    """
    n_written = 0
    in_place = path.exists() and not path.is_file()
    if not in_place:  # a link stays one; those of /dev/fd lead to names that are not there
        path = path.resolve()
    partial = path if in_place else path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    with contextlib.ExitStack() as stack:
        if not in_place:
            stack.callback(_removed, partial)
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Opened here and once: by its name, ZipFile would open it to read and write first, and
            # again where a pipe refuses that; a reader in between is told that all was written.
            stream = partial.open("wb")
        stack.callback(_closed, stream)
        archive = zipfile.ZipFile(stream, "w")
        stack.callback(_closed, archive)
        for name, array in arrays:
            with _named(path), archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
            n_written += 1
        with _named(path):
            archive.close()
            stream.close()
            if n_written and not in_place:
                partial.replace(path)
    return n_written


def _removed(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _closed(file: zipfile.ZipFile | BinaryIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # after an error, which is the one to tell
        file.close()


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written: {error.strerror or error}") from error
