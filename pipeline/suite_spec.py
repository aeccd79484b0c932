"""Suites as data: which sets a suite holds, from the checked-in TOML files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any, Final

from manifests.errors import ManifestError, UsageError
from manifests.keys import check_file_name
from pipeline.config import SetConfig

_LISTS: Final = ("snrs_db", "music", "noise")


@dataclass(frozen=True)
class SuiteSpec:
    """A suite.

    Attributes:
        name: name of the suite.
        description: one line for people.
        band_limit: band limit of all its sets, ``auto``, ``off`` or Hz as text.
        sets: values of ``SetConfig`` fields by role.
    """

    name: str
    description: str
    band_limit: str
    sets: dict[str, dict[str, Any]]


def suite_names() -> list[str]:
    """Return the names of the checked-in suites."""
    folder = files("manifests") / "suites"
    return sorted(p.name[: -len(".toml")] for p in folder.iterdir() if p.name.endswith(".toml"))


def load_suite_spec(name: str) -> SuiteSpec:
    """Load a checked-in suite.

    Raises:
        UsageError: there is no suite of that name.
        ManifestError: its file names an unknown field.
    """
    if name not in suite_names():
        raise UsageError(f"--suite {name}: expected one of {', '.join(suite_names())}")
    text = (files("manifests") / "suites" / f"{name}.toml").read_text(encoding="utf-8")
    record = tomllib.loads(text)
    legal = {field.name for field in fields(SetConfig)}
    common = record.get("common", {})
    sets = {}
    for role, values in record["sets"].items():
        check_file_name(role)
        merged = {**common, **values}
        if unknown := merged.keys() - legal:
            raise ManifestError(f"{name}.toml: {role}: unknown fields {sorted(unknown)}")
        sets[role] = {k: tuple(v) if k in _LISTS else v for k, v in merged.items()}
    return SuiteSpec(name, record["description"], record.get("band_limit", "auto"), sets)
