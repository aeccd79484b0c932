"""Resample float64 signals to 22,050 Hz: soxr by default, the sox program, or torchaudio.

All three work on 1-D float64 arrays, so the only rounding of the signal path stays the final one.
This is the only module that imports soxr, pysox and torchaudio's resampler.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from typing import Final

import numpy as np
import soxr

from manifests.errors import ManifestError, UsageError
from manifests.signal import Signal

RESAMPLERS: Final = ("soxr", "sox", "torchaudio")
MAX_KERNEL: Final = 100_000_000
"""Weights of torchaudio's polyphase kernel, 800 MB in float64."""


def _soxr(signal: Signal, rate_in: int, rate_out: int) -> Signal:
    resampled: Signal = soxr.resample(signal, rate_in, rate_out, quality="VHQ")
    return resampled


def _sox(signal: Signal, rate_in: int, rate_out: int) -> Signal:
    """Resample through the sox program (pysox), very high quality, dither off.

    sox works on a 32-bit integer bus, so the input is halved before and doubled after; a clip
    warning is an error, not a log line.
    """
    import sox

    expect_resampler("sox")
    transformer = sox.Transformer()
    transformer.set_globals(dither=False)
    transformer.set_input_format(file_type="f64", rate=rate_in, channels=1)
    transformer.set_output_format(file_type="f64", channels=1)
    transformer.rate(rate_out, quality="v")
    with tempfile.TemporaryDirectory(prefix="robust-tagger-sox-") as folder:
        before, after = f"{folder}/before.f64", f"{folder}/after.f64"
        (signal * 0.5).astype("<f8").tofile(before)
        try:
            _, _, said = transformer.build(before, after, return_output=True)
        except (sox.SoxError, ValueError) as error:
            raise ManifestError(f"sox: {str(error).replace(f'{folder}/', '')}") from error
        if "clipped" in said:
            raise ManifestError(
                f"sox clipped while resampling {rate_in} Hz: {_first_line(said, folder)}"
            )
        return np.fromfile(after, dtype="<f8") * 2.0


def _first_line(said: str, folder: str) -> str:
    """Return what sox said first, without the files of this machine."""
    return said.strip().replace(f"{folder}/", "").partition("\n")[0]


def _torchaudio(signal: Signal, rate_in: int, rate_out: int) -> Signal:
    """Resample with torchaudio's windowed sinc in float64 (bit-identical over CPU features).

    Its kernel has a row per output phase: a rate that shares no factor with 22,050 Hz, such as
    44,101 Hz, would take gigabytes.
    """
    import torch
    import torchaudio.functional

    if refused := resampler_refusal("torchaudio", rate_in, rate_out):
        raise ManifestError(refused)
    resampled = torchaudio.functional.resample(
        torch.tensor(signal),
        rate_in,
        rate_out,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )
    return np.asarray(resampled.numpy(), dtype=np.float64)


_ENGINES: Final[dict[str, Callable[[Signal, int, int], Signal]]] = {
    "soxr": _soxr,
    "sox": _sox,
    "torchaudio": _torchaudio,
}


def expect_resampler(engine: str) -> None:
    """Raise UsageError where an engine's program is missing, before anything is made with it."""
    if engine == "sox" and shutil.which("sox") is None:
        raise UsageError("--resampler sox: the sox program is not found; install it or use soxr")


def resampler_refusal(engine: str, rate_in: int, rate_out: int, peak: float = 0.0) -> str:
    """Return why an engine cannot resample a file, in a line; empty where it can.

    Args:
        engine: one of ``RESAMPLERS``.
        rate_in: rate of the file, Hz.
        rate_out: rate wanted, Hz.
        peak: largest magnitude of its mono average, full scale = 1.
    """
    if rate_in == rate_out:
        return ""
    if engine == "sox" and peak > 2.0:
        return f"sox: expected a peak of at most 2.0, got {peak:.3g}; use --resampler soxr"
    common = math.gcd(rate_in, rate_out)
    n_weights = (rate_in // common) * (rate_out // common)
    if engine == "torchaudio" and n_weights > MAX_KERNEL:
        return (
            f"torchaudio: {rate_in} Hz to {rate_out} Hz: expected a kernel of at most "
            f"{MAX_KERNEL} weights, got {n_weights}; use --resampler soxr"
        )
    return ""


def resample(signal: Signal, rate_in: int, rate_out: int, engine: str = "soxr") -> Signal:
    """Resample a mono signal.

    Args:
        signal: ``(n_samples,)``, float64.
        rate_in: its rate, Hz.
        rate_out: rate wanted, Hz.
        engine: one of ``RESAMPLERS``.

    Returns:
        ``(about n_samples * rate_out / rate_in,)``; the input itself where the rates agree
        or it is empty.

    Raises:
        UsageError: unknown engine, or its program is missing.
        ManifestError: the engine failed or clipped.
    """
    if engine not in _ENGINES:
        raise UsageError(f"resampler {engine!r}: expected one of {', '.join(RESAMPLERS)}")
    if rate_in == rate_out or not signal.size:
        return signal
    return _ENGINES[engine](np.ascontiguousarray(signal), rate_in, rate_out)


def resampler_version(engine: str) -> str:
    """Return the engine's name and version, for the fingerprint of a set."""
    if engine == "soxr":
        return f"soxr {soxr.__version__} (libsoxr {soxr.__libsoxr_version__}) VHQ float64"
    if engine == "sox":
        import subprocess

        program = shutil.which("sox")
        if program is None:
            return "sox not found"
        banner = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        return f"{banner.stdout.split(':')[-1].strip()} rate -v, no dither"
    import torchaudio

    return f"torchaudio {torchaudio.__version__} sinc_interp_kaiser width 64 float64"
