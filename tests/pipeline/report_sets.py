"""Little sets for the tests of ``prep report``, built by command line, and a page reader."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from pipeline.cli import prep

RATE = 22_050
EVIL = "<script>alert(1)</script>"
EVIL_FILE = "<img src=x onerror=alert(2)>.wav"


def write_songs(folder: Path, rng: np.random.Generator, songs: int, seconds: float) -> None:
    folder.mkdir(parents=True)
    t = np.arange(round(seconds * RATE)) / RATE
    lines = ["path,split,tags,song,artist,licence"]
    for i in range(songs):
        tone = 0.1 * np.sin(2 * np.pi * 220 * (i + 1) * t) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))
        soundfile.write(folder / f"song{i}.wav", tone + 1e-3 * rng.standard_normal(t.size), RATE)
        tags = f"{EVIL};slow" if i % 2 else "slow"
        lines.append(f'song{i}.wav,train,{tags},Song {i},"A ""<b>"" & Co",CC-BY-4.0')
    (folder / EVIL_FILE).write_bytes(b"")
    lines.append(f"{EVIL_FILE},train,slow,Broken,Nobody,")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_noises(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for i in range(3):
        soundfile.write(folder / f"noise{i}.wav", 0.1 * rng.standard_normal(2 * RATE), RATE)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(prep, list(arguments), prog_name="prep")


def build_sets(root: Path, names: tuple[str, ...]) -> Path:
    """Build some of four sets: 5 songs x 3 SNRs, one example, no noise, one SNR without tags."""
    rng = np.random.default_rng(5)
    write_songs(root / "music", rng, songs=5, seconds=6.0)
    write_noises(root / "noise", rng)
    write_songs(root / "untagged", rng, songs=4, seconds=3.5)
    (root / "untagged" / "metadata.csv").unlink()
    music, noise = f"folder={root / 'music'}", f"folder={root / 'noise'}"
    common = ("--split", "train", "--max-reject-percent", "50", "--jobs", "1", "--json")
    builds = {
        "pairs": ("--noise", noise, "--snr", "10:-10:-10", "--band-limit", "off"),
        "one": ("--noise", noise, "--snr", "0", "--limit", "1"),
        "real": ("--noise", "none"),
        "bare": ("--noise", noise, "--snr", "-10"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUST_TAGGER_CACHE", str(root / "cache"))
        for name in names:
            songs = f"folder={root / 'untagged'}" if name == "bare" else music
            out = ("--out", str(root / name))
            built = run("build-shards", "--music", songs, *builds[name], *common, *out)
            assert built.exit_code == 0, built.output
    return root


class Page(HTMLParser):
    """Collects elements, the texts of the page and of its style sheet, and the ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.style = ""
        self._in: list[str] = []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._in:
            self.style += data
        else:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]
