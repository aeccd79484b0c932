"""Croissant 1.1 metadata of a set: files, hashes, records, provenance (mlcommons.org/croissant).

It validates with mlcroissant and loads through it: ``Dataset(...).records("examples")`` yields the
rows of ``examples.parquet``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from manifests.shardset import EXAMPLES, SetIndex
from pipeline.corpora import corpus
from pipeline.planned import Plan

CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "wasDerivedFrom": "prov:wasDerivedFrom",
    "wasGeneratedBy": "prov:wasGeneratedBy",
}
_FORMATS: Final = {
    "tar": "application/x-tar",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "parquet": "application/x-parquet",
    "md": "text/markdown",
    "csv": "text/csv",
    "txt": "text/plain",
}
Columns = Mapping[str, tuple[str, str]]
"""Croissant data type and meaning of each column of a table."""
_EXAMPLES: Final[Columns] = {
    "key": ("sc:Text", "key of the example in the shards"),
    "split": ("sc:Text", "split of the music"),
    "shard": ("sc:Integer", "number of its shard"),
    "offset": ("sc:Integer", "first byte of the example in the shard"),
    "n_bytes": ("sc:Integer", "bytes of the example in the shard"),
    "corpus": ("sc:Text", "corpus of the music"),
    "clip_id": ("sc:Text", "the corpus' own id of the music"),
    "song": ("sc:Text", "recording that the clip is cut from"),
    "artist": ("sc:Text", "artist of the music, empty where unknown"),
    "licence": ("sc:Text", "licence of the music, empty where unknown"),
    "start_s": ("sc:Float", "start of the excerpt in the file, seconds"),
    "duration_s": ("sc:Float", "length of the excerpt, seconds"),
    "gain_db": ("sc:Float", "common gain of clean and noisy members, dB"),
}


def croissant(plan: Plan, index: SetIndex, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a set as JSON-LD.

    Args:
        plan: gives the corpora.
        index: gives name, counts and tools.
        hashes: SHA-256 of every file of the set by name.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": index.name,
        "description": f"{index.counts['examples']} examples of music at {index.sample_rate} Hz"
        + (f", clean and at {list(index.snrs_db)} dB SNR" if index.snrs_db else ""),
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "version": f"{index.format_version}.0.0",
        "license": [licence or "unknown" for licence in dict.fromkeys(plan.licences.values())],
        "citeAs": " ".join(corpus(n).CITATION.strip() for n in sorted(plan.licences)),
        "wasDerivedFrom": [_origin(name) for name in sorted(plan.licences)],
        "wasGeneratedBy": {
            "@type": "prov:Activity",
            "name": "prep build-shards",
            "description": "; ".join(f"{k} {v}" for k, v in sorted(index.tools.items())),
            "identifier": f"sha256:{index.plan_sha256}",
        },
        "distribution": distribution(hashes),
        "recordSet": [example_records()],
    }


def distribution(hashes: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the files of a set or recipe; ``hashes`` are their SHA-256 by name."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _FORMATS[name.rpartition(".")[2]],
            "sha256": sha256,
        }
        for name, sha256 in sorted(hashes.items())
    ]


def example_records() -> dict[str, Any]:
    """Return the record set of a set's ``examples.parquet``."""
    return record_set("examples", EXAMPLES, "one row per example", _EXAMPLES)


def record_set(name: str, file: str, text: str, columns: Columns) -> dict[str, Any]:
    """Return a record set: the rows of a table among the files.

    Args:
        name: its name.
        file: name of the table, one of the distribution.
        text: what a row is.
        columns: see ``Columns``.
    """
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": text,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": f"{name}/{column}",
                "description": meaning,
                "dataType": kind,
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column, (kind, meaning) in columns.items()
        ],
    }


def _origin(name: str) -> dict[str, str]:
    module = corpus(name)
    return {"@type": "prov:Entity", "name": module.TITLE, "url": module.URL}
