"""Reading what another team sent: bounded, plain files, canonical JSON, nothing that runs.

A recipe is data from a stranger. Every file of it has a size limit that is checked before it is
read, must be a plain file (a link may lead to a device that never ends), and must be canonical
JSON, so that one content has one text and one hash.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any, Final

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.keys import check_file_name
from manifests.records import parse_json

MAX_LINE_BYTES: Final = 1 << 20
_SHOWN: Final = 200


def read_bounded(url: str, name: str, max_bytes: int) -> bytes:
    """Return the bytes of a file of a folder from elsewhere.

    Args:
        url: the folder.
        name: plain name of the file.
        max_bytes: more are refused before anything is read.

    Raises:
        ManifestError: it is missing, a link, no plain file, or too large.
    """
    path = store.join(url, check_file_name(name))
    check_plain_file(url, name)
    size = store.size_bytes(path)
    if size is None:
        raise ManifestError(f"{url}: expected a file {name}, found none")
    if size > max_bytes:
        raise ManifestError(f"{name}: expected at most {max_bytes:,} bytes, got {size:,}")
    with store.open_read(path) as file:
        data: bytes = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ManifestError(f"{name}: expected at most {max_bytes:,} bytes, got more")
    return data


def check_plain_file(url: str, name: str) -> None:
    """Refuse a link, a pipe or a device in a local folder; one that is not there passes.

    Raises:
        ManifestError: it is something else than a plain file.
    """
    if not store.is_local(url):
        return
    path = store.local_path(store.join(url, name))
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "something else"
        raise ManifestError(f"{name}: expected a plain file, got {kind}; ask for the file itself")


def canonical_value(data: bytes, name: str) -> Any:
    """Return the value of a canonical JSON text, one final newline after it.

    Raises:
        ManifestError: not JSON, or another text than the canonical one of its value.
    """
    value = parse_json(data, name)
    if (canonical_json(value) + "\n").encode() != data:
        raise ManifestError(
            f"{name}: expected canonical JSON (sorted keys, no white space, one newline at the "
            "end), got another form; it was edited or made by another program"
        )
    return value


def canonical_lines(data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    """Yield text and value of every line of canonical JSON lines.

    Raises:
        ManifestError: a line is not canonical JSON or over 1 MiB, or the last one has no newline.
    """
    if data and not data.endswith(b"\n"):
        raise ManifestError(f"{name}: expected a newline at its end; the file is cut short")
    # Not splitlines(): names may hold U+2028 or U+0085, which JSON does not escape.
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        place = f"{name}: line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise ManifestError(f"{place}: expected at most {MAX_LINE_BYTES:,} bytes")
        value = canonical_value(line + b"\n", place)
        yield line.decode(), value


def printable(text: object) -> str:
    """Return a text from elsewhere as it may be shown: no control characters, not endless.

    A clip id could hold terminal escapes that hide or rewrite what stands on the screen.
    """
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
