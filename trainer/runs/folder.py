"""The folder of a run: ``config.json``, ``metrics.jsonl``, ``tensorboard/``, ``checkpoints/``.

A folder belongs to one configuration. Opened again with the same one, the run is resumed; with
another one it is refused and the difference is told.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.canonical import canonical_json, pretty_json
from manifests.errors import ManifestError, UsageError
from manifests.records import parse_json
from trainer.runs.lock import remove_idle

CONFIG: Final = "config.json"
METRICS: Final = "metrics.jsonl"
_SHOWN: Final = 12
_ABSENT: Final = object()


@dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    Attributes:
        path: the folder.
        resumed: whether it was there before with the same configuration.
    """

    path: Path
    resumed: bool = False

    @property
    def config(self) -> Path:
        """The run's configuration."""
        return self.path / CONFIG

    @property
    def metrics(self) -> Path:
        """One JSON line per record."""
        return self.path / METRICS

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def last(self) -> Path:
        """Folder of the newest checkpoint."""
        return self.path / "checkpoints" / "last"

    @property
    def best(self) -> Path:
        """Folder of the checkpoint with the best validation figure."""
        return self.path / "checkpoints" / "best"


def open_run(
    path: Path,
    config: Mapping[str, Any],
    *,
    overwrite: bool = False,
    may_differ: Collection[str] = (),
    begins_with: Collection[Path] = (),
) -> RunFolder:
    """Create a run's folder, or open it to resume the run.

    Args:
        path: the folder.
        config: the whole configuration as JSON values; nested mappings are fine.
        overwrite: remove a run of another configuration, with everything in its folder.
        may_differ: dotted names that change no result, e.g. ``loader.n_workers``.
        begins_with: runs and checkpoints that the new run takes weights from; never removed.

    Raises:
        UsageError: the folder holds a run of another configuration (the message lists up to
            twelve differences), or files that are no run; another process trains in the run that
            is to be removed, or the new run begins with a part of it; or a value is not JSON.
    """
    wanted = _plain(config)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: expected a folder, got a file; name another --out")
    if (path / CONFIG).is_file():
        found = read_config(path)
        differing = [
            line for name, line in differences(found, wanted) if not _excused(name, may_differ)
        ]
        if not differing:
            return RunFolder(path, resumed=True)
        if not found.keys() & wanted.keys():
            raise UsageError(
                f"{path}: expected a run, got a {CONFIG} of something else; name another --out"
            )
        if not overwrite:
            raise UsageError(_refusal(path, differing))
        _check_outside(path, begins_with)
        remove_idle(path)
    elif path.is_dir() and any(path.iterdir()):
        raise UsageError(
            f"{path}: expected a run or an empty folder, got files but no {CONFIG}; "
            "name another --out"
        )
    path.mkdir(parents=True, exist_ok=True)
    store.write_text(str(path / CONFIG), pretty_json(wanted))
    return RunFolder(path)


def _check_outside(path: Path, begins_with: Collection[Path]) -> None:
    for one in begins_with:
        if one.resolve().is_relative_to(path.resolve()):
            raise UsageError(
                f"{path}: expected --overwrite to remove nothing that the run begins with, got "
                f"{one}; name another --out"
            )


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration of a run.

    Raises:
        ManifestError: there is none, or it is no JSON object.
    """
    config = parse_json(store.read_bytes(str(path / CONFIG)), str(path / CONFIG))
    if not isinstance(config, dict):
        raise ManifestError(f"{path / CONFIG}: expected an object of options")
    return config


def differences(
    found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, str]]:
    """Return (dotted name, text) of every value that differs, by name.

    The text reads ``name: has 1, asked for 2``.
    """
    result = []
    for name in sorted(found.keys() | wanted.keys()):
        before, now = found.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            result += differences(before, now, f"{prefix}{name}.")
        elif before != now:
            text = f"{prefix}{name}: has {_shown(before)}, asked for {_shown(now)}"
            result.append((f"{prefix}{name}", text))
    return result


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(canonical_json(dict(config)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"configuration: expected JSON values: {error}") from error
    return plain


def _excused(name: str, may_differ: Collection[str]) -> bool:
    return any(name == free or name.startswith(f"{free}.") for free in may_differ)


def _shown(value: object) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value)


def _refusal(path: Path, differing: list[str]) -> str:
    more = len(differing) - _SHOWN
    lines = "; ".join(differing[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return (
        f"{path}: expected a run of this configuration, got another: {lines}; "
        "name another --out, or --overwrite to remove the old run"
    )
