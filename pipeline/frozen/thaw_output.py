"""The folder that a set is thawed into: empty, this very thaw, or refused."""

from __future__ import annotations

import logging
from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.records import parse_json
from manifests.shardset import INDEX, load_set
from pipeline.frozen.marker import Marker, read_marker
from pipeline.frozen.thaw_plan import THAW, thaw_url
from pipeline.frozen.thawed_set import EXTRA_FILES, VERDICTS
from pipeline.set_files import (
    SHARD_FILE,
    clear,
    entries,
    is_set,
    lost_files,
    refuse_others,
    remove_damaged,
)
from pipeline.shard_task import HEADER, PLAN_FOLDER

_log = logging.getLogger(__name__)
_ADVICE: Final = "choose another --out or --overwrite"


def prepare_thaw(out: str, marker: Marker, *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or this very thaw, begun or finished.

    Overwriting clears what is another set. A finished thaw of which a file is lost is rendered
    anew; with ``overwrite`` every file is hashed, and one that is damaged counts as lost.

    Args:
        out: path or URL of the set.
        marker: what its ``recipe.json`` will say.
        overwrite: replace another set.

    Returns:
        Whether there is work to do: False where the thaw is finished.

    Raises:
        ManifestError: it holds something else.
    """
    names = entries(out)
    refuse_others(out, names, "this thaw")
    if not is_set(names) or _not_begun(out, names):
        return True
    try:
        _check_same(out, names, marker)
        if INDEX not in names:
            return True
        lost = _lost(out, names, check_hashes=overwrite)
    except ManifestError:
        if not overwrite:
            raise
    else:
        if not lost:
            store.remove(store.join(out, PLAN_FOLDER))
            return False
        _log.warning(
            "%s: %s missing, cut short or damaged; thawing again", out, ", ".join(lost[:3])
        )
    clear(out)
    return True


def check_thaw_place(out: str) -> None:
    """Refuse a folder that no thaw may write to, before any source is read.

    Raises:
        ManifestError: it holds something else than a set.
    """
    refuse_others(out, entries(out), "this thaw")


def _not_begun(out: str, names: list[str]) -> bool:
    """Tell whether all that is there is a plan folder without a header: killed before that."""
    if INDEX in names or any(map(SHARD_FILE.fullmatch, names)):
        return False
    return not {THAW, HEADER} & set(entries(store.join(out, PLAN_FOLDER)))


def _check_same(out: str, names: list[str], marker: Marker) -> None:
    """Check that a set, finished or begun, is of this thaw.

    A thaw that was begun may have been asked for other examples, or found other sources: each of
    its shards says what it was rendered from.
    """
    if INDEX not in names:
        if _begun(out) != marker.recipe_id:
            raise ManifestError(f"{out}: holds the beginning of another set; {_ADVICE}")
        return
    known = read_marker(out)
    if known == marker:
        return
    same = known is not None and known.recipe_id == marker.recipe_id and VERDICTS in names
    what = "a thaw of this recipe with other options, tools or sources" if same else "another set"
    raise ManifestError(f"{out}: holds {what}; {_ADVICE}")


def _lost(out: str, names: list[str], *, check_hashes: bool) -> list[str]:
    """Return the files of a finished thaw that are gone, cut short, or found to be damaged."""
    try:
        index = load_set(out).index
    except ManifestError as error:
        raise ManifestError(f"{error}; {_ADVICE}") from error
    damaged = remove_damaged(out, index, names, EXTRA_FILES) if check_hashes else []
    return damaged or lost_files(out, index, names, EXTRA_FILES)


def _begun(out: str) -> str | None:
    """Return the recipe of a thaw that was interrupted; None for anything else."""
    url = thaw_url(out, THAW)
    if not store.exists(url):
        return None
    record = parse_json(store.read_bytes(url), url)
    return str(record.get("recipe_id")) if isinstance(record, dict) else None
