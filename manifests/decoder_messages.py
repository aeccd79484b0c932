"""Catch what libmpg123 prints to standard error while it decodes."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

_OWN: Final = re.compile(
    rb"Note: |Warning: (Xing|Encountered more|Big change|Real sample)|.*mpg123"
    rb"|\[[a-z0-9_/]+\.[ch]:.*\] (error|warning): "
)
"""Beginnings of libmpg123's lines (the strings of libsndfile 1.2.2's build of it)."""

_redirected = threading.RLock()
"""File descriptor 2 belongs to the whole process: one redirection at a time."""


@contextlib.contextmanager
def decoder_messages(into: list[str]) -> Iterator[None]:
    """Collect what libmpg123 prints to standard error while a file is decoded.

    The C library writes to file descriptor 2 itself, so that is what is redirected; what others
    write meanwhile is passed on, byte for byte, on leaving. Threads wait for each other.

    Args:
        into: gets the decoder's lines on leaving.
    """
    with _redirected, tempfile.TemporaryFile() as capture:
        saved = os.dup(2)
        os.dup2(capture.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            capture.seek(0)
            with open(saved, "wb") as stderr:  # noqa: PTH123 - a descriptor, no path
                stderr.write(_sorted_out(capture.read(), into))


def _sorted_out(text: bytes, into: list[str]) -> bytes:
    """Move the decoder's lines, and the blank ones it begins with, out of ``text``."""
    others: list[bytes] = []
    for line in text.split(b"\n"):
        if not _OWN.match(line):
            others.append(line)
            continue
        into.append(line.decode(errors="replace").strip())
        if line.startswith(b"Warning: ") and others and not others[-1]:
            others.pop()
    return b"\n".join(others)
