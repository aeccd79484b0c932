"""Count the streams that are chained in an Ogg file: its decoder reads the first and says nothing.

Page layout: RFC 3533 section 6.
"""

from __future__ import annotations

from typing import IO, Final

_HEAD_BYTES: Final = 27
_BEGINS: Final = 2
"""Flag of a stream's first page."""


def count_chained(file: IO[bytes]) -> int:
    """Return how many streams follow each other, reading from where the file stands.

    Streams that lie beside each other (sound and pictures) begin together and count as one. What
    stands behind a page that is none is not looked at.
    """
    n_chained, beginning = 0, False
    while len(head := file.read(_HEAD_BYTES)) == _HEAD_BYTES and head.startswith(b"OggS"):
        begins = bool(head[5] & _BEGINS)
        n_chained += begins and not beginning
        beginning = begins
        file.read(sum(file.read(head[26])))
    return n_chained
