"""Standard output that takes every text."""

from __future__ import annotations

import io
import sys


def escape_unencodable() -> None:
    r"""Let standard output show what its encoding lacks as ``\u0142`` instead of failing.

    Names may hold any character, and bytes that are no text; a terminal or a pipe may be Latin-1.
    Standard error does so by itself. A stream that cannot be changed stays as it is.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
