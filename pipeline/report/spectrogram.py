"""Spectrograms as small pictures: time to the right, frequency up, linear, so that band edges show.

All members of an example share one colour scale, so a louder one looks louder.
"""

from __future__ import annotations

import base64
import io
from typing import Final

import matplotlib
import numpy as np
import scipy.signal
from numpy.typing import NDArray
from PIL import Image

from manifests.rows import SAMPLE_RATE
from manifests.signal import Signal

FFT_SAMPLES: Final = 512
COLUMNS: Final = 360
RANGE_DB: Final = 75.0
SHADES: Final = 48
"""Steps of colour; more cannot be told apart, and fewer make a smaller file."""


def spectrogram_db(samples: Signal) -> NDArray[np.float64]:
    """Return the power of a signal ``(n,)`` over frequency and time, dB.

    Returns:
        ``(257, columns)``: rows from 0 Hz to half the sample rate, at most 360 columns (Hann, 512
        samples); one column where the signal is shorter than a window.
    """
    padded = np.pad(samples, (0, max(FFT_SAMPLES - samples.size, 0)))
    hop = max((padded.size - FFT_SAMPLES) // COLUMNS + 1, 64)
    _, _, power = scipy.signal.spectrogram(
        padded,
        fs=SAMPLE_RATE,
        window="hann",
        nperseg=FFT_SAMPLES,
        noverlap=max(FFT_SAMPLES - hop, 0),
        detrend=False,
        mode="psd",
    )
    decibels: NDArray[np.float64] = 10.0 * np.log10(power + 1e-20)
    return decibels


def picture(power_db: NDArray[np.float64], top_db: float) -> str:
    """Return a spectrogram as a base64 PNG; ``top_db`` is the brightest, 75 dB below it black."""
    shade = np.clip((power_db - top_db) / RANGE_DB + 1.0, 0.0, 1.0)
    image = Image.fromarray(np.rint(shade[::-1] * (SHADES - 1)).astype(np.uint8))
    colours = matplotlib.colormaps["magma"](np.linspace(0.0, 1.0, SHADES))[:, :3]
    image.putpalette(np.rint(255 * colours).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
