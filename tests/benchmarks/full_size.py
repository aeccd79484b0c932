"""Corpora of the true full size in their official layouts, without their audio.

Tables, file names and counts are those of the real downloads; the audio files are empty, and what a
scan would have measured of them lies in the scan cache. So listing, looking up and planning are
those of 55,701 MTG-Jamendo, 25,863 MagnaTagATune, 42,531 AudioSet and 930 MUSAN files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from manifests.audio import decoder_version
from manifests.measure import Measurement
from manifests.rows import Clip
from pipeline.corpora import corpus
from pipeline.corpora.checked_in import (
    AUDIOSET_DROP,
    JAMENDO_GENRE_MOODTHEME,
    MTAT_TOP50,
    checked_in_list,
)
from pipeline.corpora.files import FileTree
from pipeline.corpora.jamendo_tables import COLUMNS, PARTS
from pipeline.corpora.musan import OFFICIAL
from pipeline.scan_cache import ScanCache
from pipeline.stages.scan import _stamp

N_JAMENDO = 55_701
N_GENRE = 55_215
N_BOTH = 18_255
N_MTAT = 25_863
N_SEGMENTS = {"balanced_train_segments": 22_160, "eval_segments": 20_371}
N_MUSAN = 930
ROOTS = {"mtg-jamendo": "music", "mtat": "music", "audioset": "noise", "musan": "noise"}
CLIP_S = {"mtg-jamendo": 224.0, "mtat": 29.1, "audioset": 10.0, "musan": 24.0}


def n_files(share: float) -> int:
    """Return how many files ``write_full_size`` writes; MUSAN is always whole."""
    parts = (N_JAMENDO, N_MTAT, *N_SEGMENTS.values())
    return sum(round(n * share) for n in parts) + N_MUSAN


def touch(paths: list[Path]) -> None:
    """Create empty files and their folders."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        path.touch()


def write_jamendo(root: Path, share: float) -> None:
    """Write the tables of one split, and NN/ID.mp3."""
    rng = np.random.default_rng(1)
    names = checked_in_list(JAMENDO_GENRE_MOODTHEME)
    genres = [name for name in names if name.startswith("genre")]
    moods = [name for name in names if name.startswith("mood")]
    n_tracks, n_genre, n_both = (round(n * share) for n in (N_JAMENDO, N_GENRE, N_BOTH))
    rows: dict[str, list[str]] = {"genre": [], "moodtheme": []}
    parts: dict[str, list[str]] = {upstream: [] for upstream, _ in PARTS}
    files = []
    for number in range(n_tracks):
        track = 200 + 23 * number
        path = f"{track % 100:02d}/{track}.mp3"
        files.append(root / path)
        seconds = float(np.clip(rng.lognormal(5.41, 0.4), 30, 4000))
        artist = f"artist_{number // 12:06d}"
        fields = [f"track_{track:07d}", artist, f"album_{number // 5:06d}", path, f"{seconds:.1f}"]
        has_mood = number < n_both or number >= n_genre
        tags = [*rng.choice(genres, 2, replace=False)] if number < n_genre else []
        tags += [*rng.choice(moods, 2, replace=False)] if has_mood else []
        line = "\t".join([*fields, *tags])
        for kind, column in (("genre", "genre---"), ("moodtheme", "mood/theme---")):
            own = [tag for tag in tags if tag.startswith(column)]
            if own:
                rows[kind].append("\t".join([*fields, *own]))
        part = PARTS[int(np.searchsorted([0.56, 0.77], (number // 12 * 0.618) % 1.0))][0]
        parts[part].append(line)
    header = "\t".join(COLUMNS)
    tables = {f"autotagging_{kind}": lines for kind, lines in rows.items()}
    tables |= {f"splits/split-0/autotagging-{part}": lines for part, lines in parts.items()}
    for name, lines in tables.items():
        path = root / "data" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("\r\n".join([header, *lines, ""]).encode())
    touch(files)


def write_mtat(root: Path, share: float) -> None:
    """Write annotations_final.csv with 188 tags, and the clips of five to a song."""
    rng = np.random.default_rng(2)
    tags = [*checked_in_list(MTAT_TOP50), *(f"rare tag {n}" for n in range(138))]
    odds = np.geomspace(0.18, 0.0005, len(tags))
    lines = ["\t".join(f'"{name}"' for name in ("clip_id", *tags, "mp3_path"))]
    files = []
    for number in range(round(N_MTAT * share)):
        song = number // 5
        folder = "0123456789abcdef"[song * 7 % 16]
        start = 29 * (number % 5)
        path = f"{folder}/artist_{song % 230}-album-{song:05d}-title-{start}-{start + 29}.mp3"
        files.append(root / path)
        marks = (rng.random(len(tags)) < odds).astype(int)
        lines.append("\t".join(f'"{cell}"' for cell in (number + 2, *marks, path)))
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations_final.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    touch(files)


def write_audioset(root: Path, share: float) -> None:
    """Write both segment tables with 527 labels, two in five clips with music."""
    rng = np.random.default_rng(3)
    dropped = [line.split("\t") for line in checked_in_list(AUDIOSET_DROP)]
    labels = [(mid, name) for mid, name, *_ in dropped]
    labels += [(f"/t/dd{n:05d}", f"Sound {n}") for n in range(527 - len(labels))]
    root.mkdir(parents=True, exist_ok=True)
    names = "".join(f'{n},{mid},"{name}"\n' for n, (mid, name) in enumerate(labels))
    (root / "class_labels_indices.csv").write_text("index,mid,display_name\n" + names)
    files = []
    for table, count in N_SEGMENTS.items():
        lines = ["# AudioSet", "# as downloaded", "# YTID, start_seconds, end_seconds, labels"]
        for number in range(round(count * share)):
            youtube_id = hashlib.sha256(f"{table}{number}".encode()).hexdigest()[:11]
            with_music = number % 5 < 2
            low, high = (0, len(dropped)) if with_music else (len(dropped), len(labels))
            mids = ",".join(labels[n][0] for n in sorted({*rng.integers(low, high, 2)}))
            lines.append(f'{youtube_id}, 30.000, 40.000, "{mids}"')
            files.append(root / table / f"Y{youtube_id}.wav")
        (root / f"{table}.csv").write_text("\n".join(lines) + "\n")
    touch(files)


def write_musan(root: Path) -> None:
    """Write the 930 noises of MUSAN."""
    files = [
        root / folder / f"{prefix}-{number:04d}.wav"
        for folder, (prefix, n_files) in OFFICIAL.items()
        if folder.startswith("noise")
        for number in range(n_files)
    ]
    touch(files)
    (root / "noise/free-sound/LICENSE").write_text("All of these are in the public domain.\n")


def write_full_size(root: Path, share: float = 1.0) -> dict[str, Path]:
    """Write the four corpora and fill the scan cache; returns their roots by name.

    Args:
        root: an empty folder.
        share: part of the full size, e.g. 0.1.
    """
    roots = {name: root / name for name in ROOTS}
    write_jamendo(roots["mtg-jamendo"], share)
    write_mtat(roots["mtat"], share)
    write_audioset(roots["audioset"], share)
    write_musan(roots["musan"])
    for name, folder in roots.items():
        fill_cache(name, folder)
    return roots


def fill_cache(name: str, root: Path) -> None:
    """Put a made-up measurement of every listed clip into the user's scan cache."""
    tree = FileTree(root)
    clips = corpus(name).list_clips(tree, tree, {}, with_audio=True).clips
    version = decoder_version("soundfile")
    cache = ScanCache()
    cache.put(
        (f"{root}/{clip.path}", _stamp(tree, clip, version), measured(clip)) for clip in clips
    )
    cache.close()


def measured(clip: Clip) -> Measurement:
    """Return what a scan might have measured of a clip."""
    digest = hashlib.sha256(f"{clip.corpus}/{clip.clip_id}".encode())
    rng = np.random.default_rng(int.from_bytes(digest.digest()[:8], "big"))
    seconds = clip.expected_s or CLIP_S[clip.corpus] * float(rng.uniform(0.1, 2.0))
    rate = 44_100 if clip.corpus == "mtg-jamendo" else 16_000
    levels = rng.normal(-20, 4, round(seconds * 10)).clip(-90, -3).astype(np.int8)
    return Measurement(
        source_sha256=digest.hexdigest(),
        source_bytes=0,
        source_format="MP3/MPEG_LAYER_III",
        source_rate=rate,
        channels=2,
        source_samples=round(seconds * rate),
        peak=0.9,
        mean=0.0,
        bandwidth_hz=7_500.0,
        rms_db=levels.tobytes(),
    )
