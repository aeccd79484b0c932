"""The folder that a set is built into: whose it is, who writes to it, what may be removed there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.records import row_from_json
from manifests.shardset import INDEX, load_set
from pipeline.frozen.thaw_plan import THAW
from pipeline.set_files import clear, entries, is_set, lost_files, refuse_others, remove_damaged
from pipeline.shard_task import HEADER, PLAN_FOLDER, PlanHeader, plan_url

_log = logging.getLogger(__name__)

_PLAN_FILE: Final = re.compile(r"shard-\d{6}\.jsonl|\..*\.partial")
"""What a build writes to the plan folder, its header apart."""
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


def prepare_output(out: str, header: PlanHeader, tags: Sequence[str], *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or an unfinished or finished build of this very plan.

    Overwriting clears what is of another plan. Of this one it keeps what is whole: every file of
    a finished set is hashed, and one that is damaged is built again.

    Args:
        out: path or URL of the set.
        header: what is to be built.
        tags: its tag vocabulary.
        overwrite: replace another set.

    Returns:
        Whether there is work to do: False where the set is already finished.

    Raises:
        ManifestError: it holds something else, with the difference.
    """
    names = entries(out)
    refuse_others(out, names)
    if not is_set(names):
        return True
    store.remove_partials(out)
    store.remove_partials(store.join(out, PLAN_FOLDER))
    try:
        check_same(out, header, tags)
        if INDEX in names:
            return _finished_needs_work(out, names, check_hashes=overwrite)
        if not store.exists(plan_url(out, HEADER)):
            clear(out)
    except ManifestError:
        if not overwrite:
            raise
        clear(out)
    return True


def check_output(out: str, header: PlanHeader, tags: Sequence[str], *, overwrite: bool) -> None:
    """Refuse what ``prepare_output`` would refuse; nothing in the folder is touched."""
    names = entries(out)
    refuse_others(out, names)
    if is_set(names) and not overwrite:
        check_same(out, header, tags)


def check_same(out: str, header: PlanHeader, tags: Sequence[str]) -> None:
    """Check that a folder holds this very set, finished or begun, or the rest of a removed one.

    Raises:
        ManifestError: it holds another one, with the difference.
    """
    names = entries(out)
    if INDEX in names:
        try:
            index = load_set(out).index
        except ManifestError as error:
            raise ManifestError(f"{error}; {ADVICE}") from error
        _compare(out, header, index.config, index.plan_sha256, index.tools)
        _compare_tags(out, tags, index.tags)
    elif store.exists(plan_url(out, HEADER)):
        old = _unfinished(out)
        _compare(out, header, old.config, old.plan_sha256, old.tools)
    elif PLAN_FOLDER not in names:
        raise ManifestError(f"{out}: expected {INDEX} beside the shards, found none; {ADVICE}")
    else:  # killed before the header was there, or while it was removed
        plan = entries(store.join(out, PLAN_FOLDER))
        others = [name for name in plan if not _PLAN_FILE.fullmatch(name)]
        if others:
            what = "thaw" if THAW in others else f"set of another kind ({others[0]})"
            raise ManifestError(f"{out}: holds the beginning of a {what}; {ADVICE}")


def _finished_needs_work(out: str, names: list[str], *, check_hashes: bool) -> bool:
    """Return whether a finished set lacks files, or has damaged ones, and is built again."""
    index = load_set(out).index
    damaged = remove_damaged(out, index, names) if check_hashes else []
    lost = lost_files(out, index, entries(out))
    if lost:
        what = "damaged" if damaged else "missing or cut short"
        _log.warning("%s: %s %s; building again", out, ", ".join(lost[:3]), what)
    else:
        store.remove(store.join(out, PLAN_FOLDER))
    return bool(lost)


def _unfinished(out: str) -> PlanHeader:
    path = plan_url(out, HEADER)
    try:
        return row_from_json(store.read_bytes(path), PlanHeader, path)
    except ManifestError as error:
        raise ManifestError(f"{error}; {ADVICE}") from error


def _compare(
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
            f"files; plan {plan_sha256[:12]}…, now {header.plan_sha256[:12]}…), or in a suite "
            f"--noises or the corpora given, whose sets share their examples; {ADVICE}"
        )


def _compare_tags(out: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
    """Compare vocabularies: they depend on clips of other splits too, which no plan row names."""
    if tuple(ours) == tuple(theirs):
        return
    lists = (("now also", set(ours) - set(theirs)), ("no more", set(theirs) - set(ours)))
    differ = [f"{word} {', '.join(sorted(tags)[:5])}" for word, tags in lists if tags]
    raise ManifestError(
        f"{out}: holds a set of another tag vocabulary: {'; '.join(differ) or 'another order'} "
        f"(was {len(theirs)} tags, now {len(ours)}); {ADVICE}"
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
