"""The folder that a set is thawed into: empty, this very thaw, or refused."""

from __future__ import annotations

from typing import Final

from manifests import store
from manifests.errors import ManifestError
from manifests.records import parse_json
from manifests.shardset import INDEX
from pipeline.frozen.marker import Marker, read_marker
from pipeline.frozen.thaw_plan import THAW, thaw_url
from pipeline.frozen.thawed_set import EXTRA_FILES, VERDICTS
from pipeline.frozen.write import folder_names
from pipeline.output import clear
from pipeline.shard_task import PLAN_FOLDER

_ADVICE: Final = "choose another --out or --overwrite"


def prepare_thaw(out: str, marker: Marker, *, overwrite: bool) -> bool:
    """Make sure that ``out`` is empty, or this very thaw, begun or finished.

    Args:
        out: path or URL of the set.
        marker: what its ``recipe.json`` will say.
        overwrite: replace another set.

    Returns:
        Whether there is work to do: False where the thaw is finished.

    Raises:
        ManifestError: it holds something else.
    """
    names = [name for name in folder_names(out) if not name.endswith(".partial")]
    if not [name for name in names if not name.startswith(".") or name == PLAN_FOLDER]:
        return True
    if INDEX not in names and PLAN_FOLDER not in names:
        raise ManifestError(
            f"{out}: expected a new folder, an empty one or this thaw, found "
            f"{', '.join(names[:3])}; choose another --out (--overwrite removes sets only)"
        )
    known = read_marker(out) if INDEX in names else None
    if known == marker and VERDICTS in names:
        store.remove(store.join(out, PLAN_FOLDER))
        return False
    if overwrite:
        clear(out)
        for name in EXTRA_FILES:
            store.remove(store.join(out, name))
        return True
    if INDEX not in names and _begun(out) == marker.recipe_id:
        return True
    if known is not None and known.recipe_id == marker.recipe_id:
        what = "a thaw of this recipe with other options, tools or sources"
    else:
        what = "another set" if INDEX in names else "the beginning of another set"
    raise ManifestError(f"{out}: holds {what}; {_ADVICE}")


def _begun(out: str) -> str | None:
    """Return the recipe of a thaw that was interrupted; None for anything else."""
    url = thaw_url(out, THAW)
    if not store.exists(url):
        return None
    record = parse_json(store.read_bytes(url), url)
    return str(record.get("recipe_id")) if isinstance(record, dict) else None
