"""Which segment of AudioSet a file holds, by the namings of the copies that people have.

====================  ========================================================
PANNs                 ``Y<id>.wav``
agkphysics            ``<id>.flac``
audiosetdl            ``<id>_<start in ms>_<end in ms>.flac``
MorenoLaQuatra        ``<id>_<start>-<end>.wav``
DCASE                 ``<id>_30.000_40.000.wav``, with or without the ``Y``
====================  ========================================================

The id is 11 characters of ``[A-Za-z0-9_-]``: it may begin with ``-`` (851 of 42,531 do) and may
begin with ``Y`` itself (671 do), so both readings of a name are tried against the known ids.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from manifests.audio import NEEDS_FFMPEG
from pipeline.corpora.files import FileTree, base_name, is_audio

ID_LENGTH: Final = 11
TIME_TOLERANCE_S: Final = 0.05

_TIMES = re.compile(r"_(\d+(?:\.\d+)?)[_-](\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class NamedFile:
    """An audio file; ``times`` are the two numbers in its name, in seconds or ms, or None."""

    path: str
    times: tuple[float, float] | None

    def holds(self, start_s: float, end_s: float) -> bool:
        """Tell whether the name says these times, in seconds or in milliseconds."""
        if self.times is None:
            return False
        return any(
            abs(self.times[0] / unit - start_s) <= TIME_TOLERANCE_S
            and abs(self.times[1] / unit - end_s) <= TIME_TOLERANCE_S
            for unit in (1.0, 1000.0)
        )


def files_by_id(tree: FileTree, known_ids: Collection[str]) -> dict[str, list[NamedFile]]:
    """Return the audio files of each known id, in the order of their paths."""
    found: dict[str, list[NamedFile]] = defaultdict(list)
    for path in tree.paths:
        if not is_audio(path):
            continue
        for youtube_id, times in _readings(base_name(path).rpartition(".")[0]):
            if youtube_id in known_ids:
                found[youtube_id].append(NamedFile(path, times))
                break
    return dict(found)


def _readings(stem: str) -> Iterator[tuple[str, tuple[float, float] | None]]:
    """Yield (id, times): first the readings where nothing or times follow the id, then the rest."""
    starts = (1, 0) if stem.startswith("Y") else (0,)
    halves = [(stem[i : i + ID_LENGTH], stem[i + ID_LENGTH :]) for i in starts]
    for youtube_id, rest in halves:
        match = _TIMES.fullmatch(rest)
        if match:
            yield youtube_id, (float(match[1]), float(match[2]))
        elif not rest:
            yield youtube_id, None
    for youtube_id, _ in halves:
        yield youtube_id, None


def choose_file(files: list[NamedFile], start_s: float, end_s: float) -> NamedFile:
    """Return the file whose name says the segment's times, else the lexically first.

    Among those, sound goes before the video that it was taken from (``<id>.mkv``, ``<id>.wav``).
    """
    return min(
        files,
        key=lambda file: (
            not file.holds(start_s, end_s),
            file.path.lower().endswith(NEEDS_FFMPEG),
            file.path,
        ),
    )
