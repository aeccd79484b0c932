"""Tiny MagnaTagATune and MUSAN in their official layouts, for stories in true formats."""

from __future__ import annotations

from pathlib import Path

import soundfile
from tiny_corpora import chord, generator, write_musan

RATE = 16_000
TAGS = ("guitar", "piano", "rock", "slow")


def write_mtat(root: Path, clips: int = 8) -> Path:
    """Write clips of 4 s as MP3: two for training, the rest in the test folders d, e, f."""
    lines = ["\t".join(["clip_id", *TAGS, "mp3_path"])]
    for number in range(clips):
        folder = "0" if number < 2 else "def"[number % 3]
        song = f"artist{number}-album-01-title_{number}"
        path = root / folder / f"{song}-0-4.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, chord(generator("mtat", number), 4.2, RATE), RATE)
        marks = ["1" if number % len(TAGS) == n else "0" for n in range(len(TAGS))]
        lines.append("\t".join([str(100 + number), *marks, f"{folder}/{path.name}"]))
    (root / "annotations_final.csv").write_text("\n".join(lines) + "\n")
    return root


def write_official(root: Path) -> Path:
    """Write ``mtat`` and ``musan`` below a folder."""
    write_mtat(root / "mtat")
    write_musan(root / "musan")
    return root


def id3(title: str) -> bytes:
    """Return an ID3v2.3 tag with a title (id3.org/id3v2.3.0, sections 3.1 and 4.2.1)."""
    text = b"\0" + title.encode("latin-1")
    frame = b"TIT2" + len(text).to_bytes(4, "big") + b"\0\0" + text
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame
