"""The folder that a set is built into: whose it is, who writes to it, what may be removed there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import sidecar_name
from manifests.records import row_from_json
from manifests.shardset import INDEX, SetIndex, load_set
from pipeline.finish import FILES
from pipeline.shard_task import HEADER, PLAN_FOLDER, PlanHeader, plan_url

_log = logging.getLogger(__name__)

_SHARD: Final = re.compile(r"shard-\d{6}\.(tar|json)")
CHOOSE: Final = "choose another --out"
ADVICE: Final = f"{CHOOSE} or --overwrite"


@contextlib.contextmanager
def locked(out: str) -> Iterator[None]:
    """Create a local folder and hold it for one build.

    The lock is an advisory one (flock) on the folder itself: it leaves no file behind, and the
    kernel drops it however the build ends. Object stores and file systems without locks are not
    guarded; there, builds of one plan write the same bytes, and those of another are refused.

    Raises:
        ManifestError: another build holds it, or it is no folder.
    """
    if not store.is_local(out):
        yield
        return
    path = store.local_path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError as error:
        raise ManifestError(
            f"{out}: expected a folder, got a file; choose another --out"
        ) from error
    except OSError as error:
        raise ManifestError(f"{out}: cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ManifestError(
                f"{out}: expected no other build there, got one that is writing; wait for its end "
                "or choose another --out"
            ) from error
        except OSError as error:
            _log.info("%s: no locks here: %s", out, error.strerror)
        yield
    finally:
        os.close(folder)


def prepare_output(out: str, header: PlanHeader, *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or an unfinished or finished build of this very plan.

    Returns:
        Whether there is work to do: False where the set is already finished.

    Raises:
        ManifestError: it holds something else, with the difference.
    """
    names = _entries(out)
    if not _is_set(names):
        _refuse_others(out, names)
        return True
    if overwrite:
        clear(out)
        return True
    store.remove_partials(out)
    store.remove_partials(store.join(out, PLAN_FOLDER))
    if INDEX in names:
        return _check_finished(out, header, set(names))
    if store.exists(plan_url(out, HEADER)):
        old = _unfinished(out)
        _check_same(out, header, old.config, old.plan_sha256, old.tools)
    elif PLAN_FOLDER in names:  # killed before the header was there, or while it was removed
        clear(out)
    else:
        raise ManifestError(f"{out}: expected {INDEX} beside the shards, found none; {ADVICE}")
    return True


def _is_set(names: list[str]) -> bool:
    """Tell whether a folder holds a set or its beginning: our sidecars, or the plan folder.

    An index.json or shards alone may be anybody's.
    """
    return PLAN_FOLDER in names or any(
        _SHARD.fullmatch(name) and name.endswith(".json") for name in names
    )


def _refuse_others(out: str, names: list[str]) -> None:
    """Refuse a folder that holds something else than a set; hidden entries do not count."""
    foreign = [name for name in names if not name.startswith(".")]
    if foreign:
        raise ManifestError(
            f"{out}: expected a new folder, an empty one or a set, found {', '.join(foreign[:3])}; "
            "choose another --out (--overwrite removes sets only)"
        )


def _check_finished(out: str, header: PlanHeader, names: set[str]) -> bool:
    """Return whether a finished set of this plan lacks files and has to be built again."""
    try:
        index = load_set(out).index
    except ManifestError as error:
        raise ManifestError(f"{error}; {ADVICE}") from error
    _check_same(out, header, index.config, index.plan_sha256, index.tools)
    lost = _lost_files(out, index, names)
    if lost:
        _log.warning("%s: %s missing or cut short; building again", out, ", ".join(lost[:3]))
    else:
        store.remove(store.join(out, PLAN_FOLDER))
    return bool(lost)


def _entries(out: str) -> list[str]:
    """Return the sorted names of files and folders directly in ``out``."""
    if store.is_local(out):
        return sorted(path.name for path in store.local_path(out).iterdir())
    file_system, path = store.filesystem(out)
    file_system.invalidate_cache()
    try:
        found = file_system.ls(path, detail=False)
    except FileNotFoundError:
        return []
    names = {posixpath.basename(str(name).rstrip("/")) for name in found}
    return sorted(names - {"", posixpath.basename(path.rstrip("/"))})


def _is_ours(name: str) -> bool:
    beside = ("recipe.json", "verdicts.parquet")  # what freezing and thawing add to a set
    known = name in (*FILES, *beside) or name == PLAN_FOLDER
    return known or _SHARD.fullmatch(name) is not None


def clear(out: str) -> None:
    """Remove a set's files and nothing else.

    Its index goes first, so that no rest ever looks whole, and the sidecars last, so that what a
    killed removal leaves is still known as ours.
    """
    store.remove(store.join(out, INDEX))
    store.remove_partials(out)
    ours = [name for name in _entries(out) if _is_ours(name)]
    sidecars = [name for name in ours if _SHARD.fullmatch(name) and name.endswith(".json")]
    for name in [*(name for name in ours if name not in sidecars), *sidecars]:
        store.remove(store.join(out, name))


def _lost_files(out: str, index: SetIndex, names: set[str]) -> list[str]:
    """Return the files of a finished set that are gone, or (locally) tars of another size."""
    expected = {*FILES, *(shard.file for shard in index.shards)}
    expected |= {sidecar_name(number) for number in range(len(index.shards))}
    lost = expected - names
    if store.is_local(out):
        sizes = {s.file: store.size_bytes(store.join(out, s.file)) for s in index.shards}
        lost |= {shard.file for shard in index.shards if sizes[shard.file] != shard.bytes}
    return sorted(lost)


def _unfinished(out: str) -> PlanHeader:
    path = plan_url(out, HEADER)
    try:
        return row_from_json(store.read_bytes(path), PlanHeader, path)
    except ManifestError as error:
        raise ManifestError(f"{error}; {ADVICE}") from error


def _check_same(
    out: str,
    header: PlanHeader,
    config: dict[str, Any],
    plan_sha256: str,
    found_tools: dict[str, str],
) -> None:
    for what, ours, theirs in (
        ("option", header.config, config),
        ("tool", header.tools, found_tools),
    ):
        differ = _differences(ours, theirs)
        if differ:
            raise ManifestError(
                f"{out}: holds a set of another {what}: {'; '.join(differ)}; {ADVICE}"
            )
    if plan_sha256 != header.plan_sha256:
        raise ManifestError(
            f"{out}: holds a set of the same options, but the corpora changed (other clips or "
            f"files; plan {plan_sha256[:12]}…, now {header.plan_sha256[:12]}…); {ADVICE}"
        )


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    ours, theirs = _plain(ours), _plain(theirs)
    return [
        f"{name} was {theirs.get(name)!r}, now {ours.get(name)!r}"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as JSON would give it back, so that tuples equal lists."""
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain
