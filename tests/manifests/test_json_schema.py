"""The checked-in schema of KEY.json is that of the dataclass, and judges as our reader does."""

from __future__ import annotations

import copy
import dataclasses
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.example import Example, Member, MusicSource, NoiseSource, decode_sidecar
from manifests.json_schema import json_schema

SCHEMA = json.loads((files("manifests") / "schema" / "example.v1.json").read_text())


@dataclasses.dataclass(frozen=True)
class Odd:
    value: complex


def example() -> dict[str, Any]:
    music = MusicSource("mtat", "2", "song", "artist", "CC0", "a" * 64, 16_000, 0.0, 3.0)
    noise = NoiseSource("musan", "n", ("rain",), "", "b" * 64, 16_000, 1.5, False, 20.1234)
    members = {
        "clean": Member(None, None, None, 0.5, 66_150, "c" * 64),
        "noisy.snr_-10": Member(-10.0, 3.25, -10.0, 0.9, 66_150, "d" * 64),
    }
    row = Example(
        1, "k", "train", "source", ("rock",), music, (noise,), -1.5, None, (0.1,), members
    )
    record: dict[str, Any] = json.loads(canonical_json(row))
    return record


def test_the_checked_in_schema_is_that_of_the_dataclass() -> None:
    assert json_schema(Example, SCHEMA["title"]) == SCHEMA


def test_a_sidecar_validates() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(example(), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("key",), 3),
        (("tags",), "rock"),
        (("domain",), 1),
        (("music", "start_s"), "0"),
        (("noises", 0, "looped"), 1),
        (("members", "clean", "peak"), None),
        (("extra",), 1),
    ],
)
def test_schema_and_reader_refuse_the_same(path: tuple[Any, ...], value: object) -> None:
    record = copy.deepcopy(example())
    place: Any = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, SCHEMA)
    with pytest.raises(ManifestError):
        decode_sidecar(json.dumps(record).encode(), "k.json")


def test_a_type_without_counterpart_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON type"):
        json_schema(Odd, "x")
