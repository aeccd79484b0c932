"""``precision.json``: what a stage computes in, noted before its first step.

The trials of ``--precision auto`` may end otherwise when they are made again, so a run that is
killed before its first checkpoint goes on with what was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import ManifestError
from manifests.records import parse_json

NOTED: Final = "precision.json"
_PRECISION: Final = "precision"
_KNOWN: Final = ("float32", "bfloat16")


def noted_precision(run: Path) -> str | None:
    """Return what was noted in a stage's folder; None where nothing was.

    Raises:
        ManifestError: the file holds something else.
    """
    path = run / NOTED
    if not path.is_file():
        return None
    record: Any = parse_json(store.read_bytes(str(path)), str(path))
    found = record.get(_PRECISION) if isinstance(record, Mapping) else None
    if found not in _KNOWN:
        raise ManifestError(
            f"{path}: expected a precision of {', '.join(_KNOWN)}, got {found!r}; remove the file"
        )
    return str(found)


def note_precision(run: Path, precision: str) -> None:
    """Write what a stage computes in."""
    store.write_text(str(run / NOTED), pretty_json({_PRECISION: precision}))
