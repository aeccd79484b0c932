"""Ready-made specs of evaluation sets: which corpora, splits, SNRs, noises and seed; no hashes.

A spec says what to build; only building and freezing it fixes the samples, for the noises are drawn
among those that a team's copy of AudioSet still holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any, Final

from manifests.errors import ManifestError, UsageError
from manifests.keys import check_file_name
from pipeline.config import SetConfig

_LISTS: Final = ("snrs_db", "music", "noise")
_OWN: Final = ("description", "corpus_options", "tags")


@dataclass(frozen=True)
class SetSpec:
    """A spec.

    Attributes:
        name: its name with its version, e.g. ``mtat-test-x-musan-k1.v1``.
        description: one line for people.
        values: values of ``SetConfig`` fields.
        corpus_options: options of the corpus readers.
        tags: selection of tags, as ``--tags`` takes it.
    """

    name: str
    description: str
    values: dict[str, Any]
    corpus_options: dict[str, Any]
    tags: str | None


def spec_names() -> list[str]:
    """Return the names of the checked-in specs."""
    folder = files("manifests") / "specs"
    return sorted(p.name[: -len(".toml")] for p in folder.iterdir() if p.name.endswith(".toml"))


def load_spec(name: str) -> SetSpec:
    """Load a checked-in spec.

    Raises:
        UsageError: there is no spec of that name.
        ManifestError: its file names an unknown field.
    """
    if name not in spec_names():
        raise UsageError(f"--spec {name}: expected one of {', '.join(spec_names())}")
    text = (files("manifests") / "specs" / f"{name}.toml").read_text(encoding="utf-8")
    record = tomllib.loads(text)
    legal = {field.name for field in fields(SetConfig)} - {"corpus_options", "tag_options"}
    values = {key: value for key, value in record.items() if key not in _OWN}
    if unknown := values.keys() - legal:
        raise ManifestError(f"{name}.toml: unknown fields {sorted(unknown)}")
    check_file_name(name)
    return SetSpec(
        name=name,
        description=record["description"],
        values={k: tuple(v) if k in _LISTS else v for k, v in values.items()},
        corpus_options=record.get("corpus_options", {}),
        tags=record.get("tags"),
    )


def is_spec(name: str) -> bool:
    """Tell whether a name given as a recipe is that of a spec."""
    return name.removesuffix(".toml").rpartition("/")[2] in spec_names() and (
        "/" not in name or name.endswith(".toml")
    )


def spec_refusal(name: str) -> str:
    """Return why a spec cannot be thawed, and what to do."""
    stem = name.removesuffix(".toml").rpartition("/")[2]
    return (
        f"{stem}: expected a recipe, got a spec: it says what to build and holds no hashes; "
        f"'prep build-shards --spec {stem} … --out SET', then 'prep freeze SET -o {stem}' makes a "
        "recipe"
    )
