"""References of examples that are on no disk."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.data.index import ExampleRef


def fake_refs(song_of: Sequence[int], per_shard: int = 7) -> list[ExampleRef]:
    """Return an example of each song given, in shards of so many."""
    return [
        ExampleRef(
            set_url="set",
            shard=f"shard-{number // per_shard:06d}.tar",
            offset=0,
            n_bytes=0,
            key=f"key-{number}",
            codec="flac",
            n_samples=1,
            domain=None,
            song=f"song-{song}",
            artist="",
            tags=(),
            members=(),
        )
        for number, song in enumerate(song_of)
    ]
