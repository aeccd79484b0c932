"""Croissant 1.1 metadata of a set: files, hashes, provenance (mlcommons.org/croissant)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from manifests.shardset import SetIndex
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
    ".tar": "application/x-tar",
    ".json": "application/json",
    ".parquet": "application/x-parquet",
    ".md": "text/markdown",
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
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": _FORMATS["." + name.rsplit(".", 1)[-1]],
                "sha256": sha256,
            }
            for name, sha256 in sorted(hashes.items())
        ],
    }


def _origin(name: str) -> dict[str, str]:
    module = corpus(name)
    return {"@type": "prov:Entity", "name": module.TITLE, "url": module.URL}
