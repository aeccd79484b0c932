"""Writing a recipe: all its files from rows and sources, the manifest last, and never over another.

Everything is a function of the set, so that freezing it twice writes the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from manifests import store
from manifests.canonical import canonical_json, pretty_json
from manifests.errors import ManifestError
from manifests.shardset import INDEX
from manifests.tables import write_table
from pipeline.frozen.attribution import Attribution, attributions
from pipeline.frozen.card import recipe_card
from pipeline.frozen.croissant import recipe_croissant
from pipeline.frozen.load import read_manifest
from pipeline.frozen.recipe import (
    ATTRIBUTION,
    CARD,
    CHECKSUMS,
    CROISSANT,
    PLAN,
    RECIPE,
    RECIPE_FILES,
    SKETCHES,
    SOURCES,
    TAGS,
    Recipe,
)
from pipeline.frozen.with_audio import SET_FILES
from pipeline.set_files import entries

_OURS: Final = frozenset((*RECIPE_FILES, CHECKSUMS, *SET_FILES))


def recipe_files(recipe: Recipe, others: Mapping[str, str]) -> dict[str, bytes]:
    """Return the contents of all files of a recipe, the manifest last.

    Args:
        recipe: what to write.
        others: SHA-256 of files that lie beside them (shards), by name.
    """
    sources = [recipe.sources[key] for key in sorted(recipe.sources)]
    files = {
        RECIPE: _line(recipe.header),
        PLAN: b"".join(_line(row) for row in recipe.rows),
        SOURCES: b"".join(_line(source) for source in sources),
        SKETCHES: b"".join(_line(row) for row in recipe.sketches),
        TAGS: recipe.tags_json,
        ATTRIBUTION: _csv(attributions(recipe.rows, sources)),
        CARD: recipe_card(recipe.header, recipe.config, recipe.rows, sources).encode(),
    }
    hashes = {**others, **{name: _sha256(data) for name, data in files.items()}}
    metadata = recipe_croissant(recipe.header, recipe.config, sources, hashes)
    files[CROISSANT] = pretty_json(metadata).encode()
    hashes[CROISSANT] = _sha256(files[CROISSANT])
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items()))
    files[CHECKSUMS] = "".join(lines).encode()
    return files


def _line(value: object) -> bytes:
    return (canonical_json(value) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _csv(rows: Sequence[Attribution]) -> bytes:
    """Return the bytes of a CSV file as ``write_table`` writes it, formulas disarmed."""
    with tempfile.TemporaryDirectory(prefix="robust-tagger-") as folder:
        path = Path(folder) / ATTRIBUTION
        write_table(str(path), rows, Attribution)
        return path.read_bytes()


def check_folder(url: str) -> bool:
    """Return whether a finished recipe is there; False for a new folder or a freeze cut short.

    Raises:
        ManifestError: the folder holds a set or something else.
    """
    names = [name for name in entries(url) if not name.startswith(".")]
    if INDEX in names and PLAN not in names:
        raise ManifestError(f"{url}: expected a new folder, found a set; choose another -o")
    if CHECKSUMS in names and PLAN in names:
        return True
    # The manifest is written last. The plan is there before any shard: without it shards are of a
    # set that is being built; the header is there before all others.
    known = {*_OURS, *filter(_is_shard, names)} if PLAN in names else set(RECIPE_FILES)
    foreign = [name for name in names if RECIPE not in names or name not in known]
    if foreign:
        raise ManifestError(
            f"{url}: expected a new folder, found {', '.join(foreign[:3])}; choose another -o"
        )
    return False


def check_target(url: str, files: Mapping[str, bytes]) -> bool:
    """Return whether there is anything to write: False where this very recipe is there.

    Raises:
        ManifestError: the folder holds a recipe of other content, or something else.
    """
    if not check_folder(url):
        return True
    here = store.read_bytes(store.join(url, CHECKSUMS))
    if here == files[CHECKSUMS]:
        return False
    raise ManifestError(_differs(url, files))


def _differs(url: str, files: Mapping[str, bytes]) -> str:
    """Say what a frozen recipe holds that this one does not."""
    found = read_manifest(url)
    ours = {name: _sha256(data) for name, data in files.items() if name != CHECKSUMS}
    differ = sorted(
        name for name in found.keys() | ours.keys() if found.get(name) != ours.get(name)
    )
    stem, _, version = url.rstrip("/").rpartition(".v")
    return (
        f"{url}: is frozen with other content ({', '.join(differ[:4])}); a frozen set does not "
        f"change: write a change as {stem.rpartition('/')[2]}.v{int(version) + 1}"
    )


def _is_shard(name: str) -> bool:
    return name.startswith("shard-") and name.endswith((".tar", ".json"))


def remove_leftovers(url: str, names: Collection[str]) -> None:
    """Remove what a freeze that was cut short left and this recipe does not hold.

    Args:
        url: folder without a manifest, see ``check_folder``.
        names: all files that the recipe will hold.
    """
    store.remove_partials(url)
    for name in entries(url):
        if (name in _OURS or _is_shard(name)) and name not in names:
            store.remove(store.join(url, name))


def write_files(url: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a recipe in their order; see ``recipe_files``."""
    for name, data in files.items():
        store.write_bytes(store.join(url, name), data)
