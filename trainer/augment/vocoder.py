"""Phase vocoder: time at another speed, pitch where it was.

Flanagan & Golden 1966; the frame arithmetic of ``torchaudio.functional.phase_vocoder``. Analysis
and synthesis use one hop, so a bin's phase advance from frame to frame is used as it is, modulo
2π, and needs no unwrapping.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch.nn import functional as F

from manifests.errors import ManifestError

OVERLAP: Final = 4
"""Hann frames, three quarters overlapping."""

TAIL_FRAMES: Final = 5
"""Hops of reflected audio after the end, so that the frames that overlap the last sample exist."""


def play_at_speed(
    audio: torch.Tensor,
    speed: torch.Tensor,
    n_out: int,
    *,
    n_fft: int,
    keep: torch.Tensor | None = None,
) -> torch.Tensor:
    """Play each signal at a speed of its own, without moving its pitch.

    A vocoder blurs what is not tonal: overlapping frames of noise add up incoherently, 2 to 3 dB
    below the input. The caller restores the level.

    Args:
        audio: (n, T).
        speed: source frames per frame of the result, (n,), of the audio's type and device; 2 takes
            half the time.
        n_out: samples needed of each result.
        n_fft: length of a frame; a multiple of ``OVERLAP``.
        keep: factor of each bin, (n, 1, n_fft/2 + 1), e.g. a mask; None keeps all.

    Returns:
        (n, n_fft/2 + n_out + margin): n_fft/2 samples of lead-in come first.

    Raises:
        ManifestError: the audio is too short to be reflected at its end.
    """
    hop = n_fft // OVERLAP
    shortest = n_fft // 2 + TAIL_FRAMES * hop
    if audio.shape[1] <= shortest:
        raise ManifestError(
            f"audio: expected more than {shortest} samples, got {audio.shape[1]}; use longer clips"
        )
    window = torch.hann_window(n_fft, device=audio.device, dtype=audio.dtype)
    padded = F.pad(audio[:, None], (n_fft // 2, shortest), mode="reflect")[:, 0]
    magnitude, phase = _polar(torch.fft.rfft(padded.unfold(1, n_fft, hop) * window))
    # Frame m of the result shows the source at frame m·speed; past the end, the last one.
    place = torch.arange(n_frames(n_out, hop), device=audio.device) * speed[:, None]
    before = place.long().clamp(max=magnitude.shape[1] - 2)
    share = (place - before).clamp(max=1.0)[..., None]
    rows = torch.arange(len(audio), device=audio.device)[:, None]
    # Folding the advance into (-π, π] keeps the running sum small enough for float32.
    advance = torch.diff(phase, dim=1)
    advance -= (2 * math.pi) * torch.round(advance / (2 * math.pi))
    running = advance[rows, before[:, :-1]].cumsum_(dim=1)
    running = torch.cat([phase[:, :1], running.add_(phase[:, :1])], dim=1)
    del advance, phase
    loudness = magnitude[rows, before].lerp_(magnitude[rows, before + 1], share)
    if keep is not None:
        loudness *= keep
    return _overlap_add(torch.fft.irfft(_lock(loudness, running), n=n_fft), window)


def n_frames(n_out: int, hop: int) -> int:
    """Return the frames needed so that four of them overlap up to the last sample wanted."""
    return math.ceil(n_out / hop) + OVERLAP - 1


def _polar(spectrum: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return magnitude and phase: abs and angle, which PyTorch vectorises for real values alone."""
    real, imaginary = spectrum.real.contiguous(), spectrum.imag.contiguous()
    return _length(real, imaginary), torch.atan2(imaginary, real)


def _length(real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
    return real.square().addcmul_(imaginary, imaginary).sqrt_()


def _lock(loudness: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Spectrum of given loudness whose phases agree within each spectral peak.

    The bins of one partial keep whatever phases they had when it began, so that they partly cancel:
    up to 7 dB, measured. Puckette 1995 ("Phase-locked vocoder"): give each bin the phase of itself
    *less* its two neighbours; the phases within the main lobe of a Hann window alternate in sign,
    so the strongest bin of a peak then rules the others.
    """
    real = _less_neighbours(phase.cos().mul_(loudness))
    imaginary = _less_neighbours(phase.sin().mul_(loudness))
    scale = loudness / _length(real, imaginary).clamp_(min=1e-20)
    return torch.complex(real.mul_(scale), imaginary.mul_(scale))


def _less_neighbours(bins: torch.Tensor) -> torch.Tensor:
    locked = bins.clone()
    locked[..., 1:] -= bins[..., :-1]
    locked[..., :-1] -= bins[..., 1:]
    return locked


def _overlap_add(frames: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Overlap-add frames (n, M, n_fft) with synthesis window: (n, (M + 3)·hop)."""
    hop, count = len(window) // OVERLAP, frames.shape[1]
    frames *= window
    pieces = frames.view(len(frames), count, OVERLAP, hop)
    weights = window.square().view(OVERLAP, hop)
    total = frames.new_zeros(len(frames), count + OVERLAP - 1, hop)
    weight = frames.new_zeros(count + OVERLAP - 1, hop)
    for piece in range(OVERLAP):
        total[:, piece : piece + count] += pieces[:, :, piece]
        weight[piece : piece + count] += weights[piece]
    return (total / weight.clamp(min=1e-3)).view(len(frames), -1)
