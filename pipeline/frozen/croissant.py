"""Croissant 1.1 metadata of a recipe: its files, its examples as records, where it comes from.

It validates with mlcroissant and loads through it: ``Dataset(...).records("examples")`` yields the
rows of ``plan.jsonl``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.corpora import CORPORA
from pipeline.croissant import CONTEXT, Columns, distribution, example_records, record_set
from pipeline.frozen.card import corpora_of, description
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.licence_policy import corpus_licences
from pipeline.frozen.recipe import PLAN, SOURCES, RecipeHeader
from pipeline.frozen.rows import FrozenSource

_EXAMPLE_FIELDS: Final[Columns] = {
    "key": ("sc:Text", "key of the example in the shards"),
    "shard": ("sc:Integer", "number of its shard"),
    "gain_db": ("sc:Float", "common gain of clean and noisy members, dB"),
}
_SOURCE_FIELDS: Final[Columns] = {
    "role": ("sc:Text", "music or noise"),
    "corpus": ("sc:Text", "name of the corpus"),
    "clip_id": ("sc:Text", "the corpus' own id"),
    "sha256": ("sc:Text", "SHA-256 of the file that was used"),
    "licence": ("sc:Text", "licence of the file"),
    "artist": ("sc:Text", "artist of the file"),
}


def recipe_croissant(
    header: RecipeHeader,
    config: FrozenConfig,
    sources: Sequence[FrozenSource],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """Return the metadata of a recipe as JSON-LD.

    Args:
        header: gives name, id, counts and tools.
        config: gives the description.
        sources: give the corpora.
        hashes: SHA-256 of every file of the recipe by name.
    """
    text = description(config, sources)
    metadata = _dataset(header, text, sources, hashes, "prep freeze", header.tools)
    metadata["recordSet"] = [
        record_set("examples", PLAN, "one row per example", _EXAMPLE_FIELDS),
        record_set("sources", SOURCES, "one row per source file", _SOURCE_FIELDS),
    ]
    return metadata


def thawed_croissant(
    header: RecipeHeader,
    text: str,
    sources: Sequence[FrozenSource],
    hashes: Mapping[str, str],
    tools: Mapping[str, str],
) -> dict[str, Any]:
    """Return the metadata of a thawed set; ``tools`` are those that rendered it."""
    metadata = _dataset(header, text, sources, hashes, "prep thaw", tools)
    metadata["recordSet"] = [example_records()]
    return metadata


def _dataset(
    header: RecipeHeader,
    text: str,
    sources: Sequence[FrozenSource],
    hashes: Mapping[str, str],
    command: str,
    tools: Mapping[str, str],
) -> dict[str, Any]:
    names = sorted({name for group in corpora_of(sources).values() for name in group})
    licences = corpus_licences(names)
    citations = [CORPORA[name].CITATION.strip() for name in names if name in CORPORA]
    version = header.name.rpartition(".v")[2]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": header.name,
        "description": text,
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "version": f"{version}.0.0",
        "license": list(dict.fromkeys(licences.values())),
        "citeAs": " ".join(entry for entry in citations if entry),
        "identifier": f"sha256:{header.recipe_id}",
        "wasDerivedFrom": [_origin(name, licences[name]) for name in names],
        "wasGeneratedBy": {
            "@type": "prov:Activity",
            "name": command,
            "description": "; ".join(f"{k} {v}" for k, v in sorted(tools.items())),
            "identifier": f"sha256:{header.recipe_id}",
        },
        "distribution": distribution(hashes),
    }


def _origin(name: str, licence: str) -> dict[str, str]:
    module = CORPORA.get(name)
    title, url = (module.TITLE, module.URL) if module else (name, "")
    return {"@type": "prov:Entity", "name": title, "url": url, "license": licence}
