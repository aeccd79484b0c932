"""Leak guard: what a test set shares with training data, where nothing should be shared.

Four kinds: the same file (by hash) in two splits; an artist in train and in test, whom a tagger
learns instead of the tag (Flexer 2007); the same noise clip or video id in two splits; one song
in two splits. Noises of split ``any`` (MUSAN) may serve all splits by their corpus' own account, so
they count only between sets that were really built. Music of split ``any`` is a user's folder whose
splits nobody stated: a set of it for training and one for testing would hold the same tracks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from manifests.errors import ManifestError
from manifests.rows import ANY_SPLIT, Clip
from manifests.shardset import load_set
from pipeline.frozen.untrusted import printable

if TYPE_CHECKING:
    from pipeline.stages.scan import Scan

MUSIC: Final = "music"
NOISE: Final = "noise"
CONTENT: Final = "same file"
ARTIST: Final = "same artist"
SONG: Final = "same song"
NOISE_CLIP: Final = "same noise"
KINDS: Final = (CONTENT, SONG, ARTIST, NOISE_CLIP)
LEAK: Final = "leak: "
"""How a line on a leak begins, among the notes of a plan."""
_SHOWN: Final = 5
_NAME_LENGTH: Final = 80
"""Characters of a shared name that a line shows: a song's may be its file's whole path."""


@dataclass(frozen=True)
class Item:
    """One clip where it is used; ``place`` is its split, or the name of the set that holds it."""

    role: str
    corpus: str
    clip_id: str
    place: str
    artist: str
    song: str
    sha256: str


@dataclass(frozen=True)
class Leak:
    """Something that two places share.

    Attributes:
        kind: one of ``KINDS``.
        name: the hash, artist, song or clip that is shared, with its corpus.
        places: the splits or sets, sorted.
        clip_ids: the clips that share it, sorted.
    """

    kind: str
    name: str
    places: tuple[str, ...]
    clip_ids: tuple[str, ...]


def find_leaks(items: Iterable[Item], *, artist_places: frozenset[str] | None = None) -> list[Leak]:
    """Return what is shared between places, sorted by kind and name.

    Args:
        items: every clip in every place.
        artist_places: places between which an artist must not be shared; None for all. Between
            train and valid it is common practice, between train and test it is a leak.
    """
    groups: dict[str, dict[str, set[tuple[str, str]]]] = {kind: defaultdict(set) for kind in KINDS}
    for item in items:
        for kind, name in _names(item, artist_places):
            groups[kind][name].add((item.place, f"{item.corpus} {item.clip_id}"))
    return [
        Leak(
            kind=kind,
            name=name,
            places=tuple(sorted({place for place, _ in uses})),
            clip_ids=tuple(sorted({clip for _, clip in uses})),
        )
        for kind in KINDS
        for name, uses in sorted(groups[kind].items())
        if len({place for place, _ in uses}) > 1
    ]


def _names(item: Item, artist_places: frozenset[str] | None) -> Iterable[tuple[str, str]]:
    if item.sha256:
        yield CONTENT, item.sha256
    if item.role == NOISE:
        yield NOISE_CLIP, f"{item.corpus} {item.clip_id}"
        return
    yield SONG, f"{item.corpus} {item.song}"
    if item.artist and (artist_places is None or item.place in artist_places):
        yield ARTIST, f"{item.corpus} {item.artist}"


def leaks_in_scans(music: Sequence[Scan], noise: Sequence[Scan]) -> list[Leak]:
    """Return what the splits of the scanned corpora share; artists between train and test.

    A corpus that serves as music and as noise is looked at in both roles by itself.
    """
    items = [_clip_item(clip, role) for role, scans in ((MUSIC, music), (NOISE, noise))
             for found in scans for clip in found.clips if clip.split != ANY_SPLIT]  # fmt: skip
    return find_leaks(items, artist_places=frozenset(("train", "test")))


def _clip_item(clip: Clip, role: str) -> Item:
    return Item(
        role, clip.corpus, clip.clip_id, clip.split, clip.artist, clip.song, clip.source_sha256
    )


def leaks_between(url: str, others: Sequence[str]) -> list[Leak]:
    """Return what a finished set shares with others; what those share with each other is theirs.

    Args:
        url: path or URL of a set.
        others: of the sets to compare it with.

    Raises:
        ManifestError: one is not a set.
    """
    urls = [url, *others]
    items = []
    for url, place in zip(urls, _places(urls), strict=True):
        for _, entry in load_set(url).entries():
            record = entry.record
            music = record.music
            items.append(
                Item(MUSIC, music.corpus, music.clip_id, place, music.artist, music.song,
                     music.source_sha256)
            )  # fmt: skip
            items += [
                Item(NOISE, n.corpus, n.clip_id, place, "", "", n.source_sha256)
                for n in record.noises
            ]
    mine = _places(urls)[0]
    return [leak for leak in find_leaks(items) if mine in leak.places]


def _places(urls: Sequence[str]) -> list[str]:
    """Return the last folder of each URL, numbered where equal: a card holds no absolute path."""
    names = [url.rstrip("/").rpartition("/")[2] for url in urls]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: n + 1].count(name)})"
        for n, name in enumerate(names)
    ]


def leak_lines(leaks: Sequence[Leak], *, where: Callable[[Leak], str] | None = None) -> list[str]:
    """Return counts by kind and pair of places, with the first five of each."""
    groups: dict[tuple[str, str], list[Leak]] = defaultdict(list)
    for leak in leaks:
        groups[leak.kind, (where or _between)(leak)].append(leak)
    lines = []
    for (kind, places), found in sorted(groups.items(), key=lambda g: (KINDS.index(g[0][0]), g[0])):
        shown = "; ".join(_cut(printable(_example(leak))) for leak in found[:_SHOWN])
        more = "; …" if len(found) > _SHOWN else ""
        lines.append(f"{LEAK}{kind} in {places}: {len(found):,} ({shown}{more})")
    return lines


def _between(leak: Leak) -> str:
    return " and ".join(leak.places)


def _example(leak: Leak) -> str:
    return " = ".join(leak.clip_ids[:3]) if leak.kind == CONTENT else leak.name


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"


def leak_notes(music: Sequence[Scan], noise: Sequence[Scan]) -> tuple[str, ...]:
    """Return what the splits of scanned corpora share as notes of a plan; see ``leak_lines``."""
    return tuple(leak_lines(leaks_in_scans(music, noise)))


def undivided_notes(music: Sequence[Scan], split: str) -> tuple[str, ...]:
    """Return a note for each corpus whose music would be in a set of every split alike.

    Args:
        music: scans of the set's music corpora.
        split: split of the set; ``all`` promises nothing, so nothing is noted.
    """
    if split == "all":
        return ()
    counts = [(s.corpus, sum(clip.split == ANY_SPLIT for clip in s.clips)) for s in music]
    return tuple(
        f"{LEAK}{name}: {n:,} tracks state no split, so sets of train, valid and test hold the "
        f"same ones; give a split column in metadata.csv or --{name}-split, or build with "
        "--split all"
        for name, n in counts
        if n
    )


def check_leaks(notes: Sequence[str]) -> None:
    """Refuse leaks, for ``--forbid-leaks``.

    Args:
        notes: those of ``leak_notes`` and ``undivided_notes``.

    Raises:
        ManifestError: there are any; the message lists them.
    """
    if notes:
        raise ManifestError(
            f"--forbid-leaks: expected nothing shared between splits, got {' | '.join(notes)}; "
            "leave these clips out of the corpus, or build without --forbid-leaks"
        )
