"""Measurements of files that were decoded before, by (path, size, mtime, decoder).

One SQLite file per user, ``$ROBUST_TAGGER_CACHE`` or ``~/.cache/robust-tagger``; a scan that was
killed goes on from what is in it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from manifests.measure import Measurement

_VERSION: Final = 3
WRITE_EVERY_S: Final = 1.0
"""A scan that is killed loses this much; 125,000 files come in 15,000 tasks."""
_PLAIN: Final = "base64,"
"""Before a level curve; without it the curve is in base 85, as older versions wrote it: that is
decoded by Python, 40 times slower. Base 85 has no comma."""
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS measured (url TEXT, stamp TEXT, result TEXT, "
    "PRIMARY KEY (url, stamp)) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Failure:
    """Why a file cannot be used."""

    reason: str
    detail: str


Result = Measurement | Failure


def cache_folder() -> Path:
    """Return the user's cache folder of this software."""
    if given := os.environ.get("ROBUST_TAGGER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robust-tagger"


class ScanCache:
    """Measurements by URL and stamp.

    A cache that cannot be used (read-only home, broken file) is no error: scanning goes on without
    one, and ``problem`` says why.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.problem = ""
        self._waiting: list[tuple[str, str, str]] = []
        self._written = -math.inf
        self.path = Path(f"scan-v{_VERSION}.sqlite")
        try:
            self.path = (folder or cache_folder()) / self.path
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60.0)
        except (OSError, RuntimeError, sqlite3.Error) as error:  # RuntimeError: no home is known
            self._give_up(error)
        try:
            self._db.execute(_TABLE)
        except sqlite3.Error as error:
            self._db.close()
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = f"scan cache {self.path.name}: {error}; scanning without it"
        self._db = sqlite3.connect(":memory:")
        self._db.execute(_TABLE)

    def get(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Result]:
        """Return what is known of (url, stamp) pairs; what cannot be read is not known."""
        self._write()
        found = {}
        try:
            for url, stamp in keys:
                row = self._db.execute(
                    "SELECT result FROM measured WHERE url = ? AND stamp = ?", (url, stamp)
                ).fetchone()
                result = _decode(row[0]) if row is not None else None
                if result is not None:
                    found[url, stamp] = result
        except sqlite3.Error as error:
            self._db.close()
            self._give_up(error)
        return found

    def put(self, results: Iterable[tuple[str, str, Result]]) -> None:
        """Store results. A transaction waits for the disk, so there is one a second at most."""
        self._waiting += [
            (url, stamp, json.dumps(_encode(result))) for url, stamp, result in results
        ]
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self._write()

    def _write(self) -> None:
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            self.problem = f"scan cache: {error}; results are not kept for the next scan"
        self._written = time.monotonic()

    def forget(self, url: str) -> None:
        """Drop what is known of a file."""
        with contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute("DELETE FROM measured WHERE url = ?", (url,))

    def close(self) -> None:
        """Write what waits and close the file."""
        self._write()
        self._db.close()


def forget(url: str) -> None:
    """Drop a file from the user's cache: its content changed, though size and time did not."""
    with contextlib.closing(ScanCache()) as cache:
        cache.forget(url)


def _encode(result: Result) -> dict[str, Any]:
    record = asdict(result)
    if isinstance(result, Measurement):
        for curve in ("rms_db", "band_db"):
            record[curve] = _PLAIN + base64.b64encode(record[curve]).decode()
    return record


def _decode(text: str) -> Result | None:
    """Return a stored result; None where it is damaged."""
    try:
        record = json.loads(text)
        if "reason" in record:
            return Failure(**record)
        curves = {name: _curve(record[name]) for name in ("rms_db", "band_db")}
        return Measurement(**{**record, **curves})
    except (ValueError, TypeError, KeyError):
        return None


def _curve(text: str) -> bytes:
    if text.startswith(_PLAIN):
        return base64.b64decode(text[len(_PLAIN) :], validate=True)
    return base64.b85decode(text)
