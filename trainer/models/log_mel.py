"""The mel front end: a normalised log-mel spectrogram.

STFT with a periodic Hann window -> power -> triangular mel filters (HTK scale, no area
normalisation) -> 10 log10 -> BatchNorm over the one channel, as Won et al. have it in all their
models (minzwon/sota-music-tagging-models ``training/model.py``, minzwon/semi-supervised-music-
tagging-transformer ``src/models.py``; both leave torchaudio's defaults).

It computes in float32 whatever surrounds it: in bfloat16 a power has 8 bits, which is 0.03 dB at
best, and the differences of a spectrogram's neighbours are what the network reads.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torchaudio import functional as audio_functional

from manifests.rows import SAMPLE_RATE

AMIN: Final = 1e-10
"""Power below which a bin counts as silent, -100 dB: it has a value, and a gradient of zero."""


@dataclass(frozen=True)
class MelSettings:
    """A mel front end at 22,050 Hz.

    Attributes:
        n_mels: mel bands.
        n_fft: length of the transform, samples.
        window_samples: length of the window, at most ``n_fft``; zeros fill the rest.
        hop_samples: from one frame to the next.
        high_hz: upper edge of the highest band; the lowest begins at 0 Hz.
    """

    n_mels: int
    n_fft: int
    window_samples: int
    hop_samples: int
    high_hz: float

    def n_frames(self, n_samples: int) -> int:
        """Return the frames of audio of ``n_samples``; they are centred on multiples of the hop."""
        return 1 + n_samples // self.hop_samples


class LogMel(nn.Module):
    """Audio to a normalised log-mel spectrogram; 2 parameters.

    Window and filters follow from the settings: they move with the module and are in no
    checkpoint.

    Args:
        settings: the front end.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", torch.hann_window(settings.window_samples), persistent=False)
        self.register_buffer("filters", mel_filters(settings), persistent=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return normalised spectrograms of audio (B, 1, T): (B, 1, n_mels, n_frames), float32."""
        with torch.autocast(audio.device.type, enabled=False):
            normalised: torch.Tensor = self.norm(self.decibels(audio))
            return normalised

    def decibels(self, audio: torch.Tensor) -> torch.Tensor:
        """Return log-mel spectrograms of audio (B, 1, T): (B, 1, n_mels, n_frames), dB, float32.

        0 dB is a power of 1 under a filter; silence is at -100 dB and has a gradient of zero.
        """
        with torch.autocast(audio.device.type, enabled=False):
            settings = self.settings
            power = audio_functional.spectrogram(
                audio.float(),
                pad=0,
                window=self.window,
                n_fft=settings.n_fft,
                hop_length=settings.hop_samples,
                win_length=settings.window_samples,
                power=2.0,
                normalized=False,
            )  # (B, 1, n_fft/2 + 1, n_frames)
            mel = (power.transpose(2, 3) @ self.filters).transpose(2, 3)
            decibels: torch.Tensor = audio_functional.amplitude_to_DB(
                mel, multiplier=10.0, amin=AMIN, db_multiplier=0.0
            )
            return decibels


def mel_filters(settings: MelSettings) -> torch.Tensor:
    """Return the filters as columns, (n_fft/2 + 1, n_mels)."""
    with warnings.catch_warnings():
        # torchaudio warns of filters that lie between two bins; the published 16 kHz front end
        # of 128 bands has one, ours have none (a test counts them).
        warnings.simplefilter("ignore")
        filters: torch.Tensor = audio_functional.melscale_fbanks(
            n_freqs=settings.n_fft // 2 + 1,
            f_min=0.0,
            f_max=settings.high_hz,
            n_mels=settings.n_mels,
            sample_rate=SAMPLE_RATE,
        )
    return filters
