"""One example rendered from whole numbers is the very one that was published.

A difference here means that sets built before cannot be rebuilt. If that is meant, raise the format
version and run ``python tests/regenerate_golden.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import wave
from typing import Any

import numpy as np
import pytest
from regenerate_golden import (
    FOLDER,
    SNRS_DB,
    noise,
    plan_row,
    render_from_files,
    rendered_example,
    sawtooth_chord,
    sources,
)

from manifests.canonical import canonical_json
from manifests.keys import noisy_name


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((FOLDER / "rendered_example.json").read_text())
    return record


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    return rendered_example()


def test_the_sources_are_the_same_files(published: dict[str, Any]) -> None:
    files = sources()
    row = published["plan_row"]
    for name, said in (
        ("music.wav", row["music"]),
        ("wind.wav", row["noises"][0]),
        ("crowd.wav", row["noises"][1]),
    ):
        assert hashlib.sha256(files[name]).hexdigest() == said["source_sha256"]
    assert json.loads(canonical_json(plan_row(files))) == row


def test_samples_of_every_member(rendered: dict[str, Any], published: dict[str, Any]) -> None:
    members = published["sidecar"]["members"]
    assert sorted(members) == sorted(["clean", *map(noisy_name, SNRS_DB)])
    for name, figures in members.items():
        assert rendered["sidecar"]["members"][name] == figures, name


def test_gains_and_all_else_of_the_sidecar(
    rendered: dict[str, Any], published: dict[str, Any]
) -> None:
    assert rendered["sidecar"] == published["sidecar"]
    assert rendered["levels_db"] == published["levels_db"]


def test_canonical_bytes(rendered: dict[str, Any], published: dict[str, Any]) -> None:
    for name in ("plan_row_sha256", "sidecar_sha256"):
        assert rendered[name] == published[name]
    for name in ("plan_row", "sidecar"):
        text = canonical_json(published[name]).encode()
        assert hashlib.sha256(text).hexdigest() == published[f"{name}_sha256"]


def test_the_published_figures_are_plausible(published: dict[str, Any]) -> None:
    """Not only the same as before: near the target, and not clipped."""
    for name, member in published["sidecar"]["members"].items():
        if name != "clean":
            assert abs(member["achieved_db"] - member["target_db"]) < 0.005
    peaks = [member["peak"] for member in published["sidecar"]["members"].values()]
    assert max(peaks) == round(32_766 / 32_768, 6)
    assert np.abs(noise("wind.wav", 1_000)).max() <= 8_192


def plain_mix() -> dict[str, np.ndarray]:
    """The five steps of the contract once more, written down plainly and without our code."""
    start, n = 8_820, 72_765
    music = sawtooth_chord(4 * 22_050)[start : start + n] / 32_768
    music = music - music.mean()
    wind, t = noise("wind.wav", 22_050) / 32_768, (np.arange(1_102) + 0.5) / 1_102 * np.pi / 2
    wind = wind - wind.mean()
    looped = np.zeros(n + 22_050)
    for at in range(0, n, 22_050 - 1_102):
        fades = np.ones(22_050)
        fades[-1_102:] = np.cos(t)
        if at:
            fades[:1_102] = np.sin(t)
        looped[at : at + 22_050] += wind * fades
    crowd = noise("crowd.wav", 6 * 22_050)[37_485 : 37_485 + n] / 32_768
    total = np.zeros(n)
    for part in (looped[:n], crowd):
        varying = part - part.mean()
        total += varying / np.sqrt(np.mean(varying**2))
    total *= np.sqrt(np.mean(music**2) / np.mean(total**2))
    mixes = {noisy_name(s): music + total * 10 ** (-s / 20) for s in SNRS_DB} | {"clean": music}
    gain = min(1.0, 32_766 / 32_768 / max(np.abs(mix).max() for mix in mixes.values()))
    return {name: gain * mix for name, mix in mixes.items()}


def test_samples_are_those_of_a_plain_mix_within_an_lsb() -> None:
    """One LSB for the rounding to int16 and of the gains to 0.0001 dB."""
    files, expected = render_from_files().files, plain_mix()
    for name, mix in expected.items():
        with wave.open(io.BytesIO(files[f"{name}.wav"])) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        assert np.abs(pcm - 32_768 * mix).max() < 1.0, name
