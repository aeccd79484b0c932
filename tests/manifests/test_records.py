"""Rows from JSON: every type comes back as it went, and nothing else is let in."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_strategies import JSON_ROWS, rows

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.records import parse_json, row_builder, row_from_json
from manifests.rows import Clip, MusicSpan, NoiseSpan, PlanRow, Reject
from manifests.shardset import SetIndex

ROW = PlanRow(
    key="mtat-a-00000000-0",
    split="train",
    domain=None,
    tags=("guitar", "slow"),
    shard=3,
    music=MusicSpan("mtat", "a", "a.mp3", "s", "", "CC", "0" * 64, 16_000, 464_000, 1.5, 59_049),
    noises=(NoiseSpan("musan", "n", "n.wav", ("wind",), "PD", "1" * 64, 16_000, 9, 0.0, True),),
)


def record() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(canonical_json(ROW))
    return parsed


@pytest.mark.parametrize("row_type", JSON_ROWS)
def test_every_row_type_goes_through_json_without_loss(row_type: type) -> None:
    @given(rows(row_type))
    @settings(deadline=None, max_examples=20)
    def check(row: Any) -> None:
        text = canonical_json(row)
        assert row_from_json(text, row_type, "n") == row
        assert row_from_json(text.encode(), row_type, "n") == row
        assert canonical_json(row_from_json(text, row_type, "n")) == text

    check()


def test_rows_with_bytes_have_no_json() -> None:
    with pytest.raises(TypeError, match="bytes is not JSON serializable"):
        canonical_json(Clip("c", "i", "p", "s", "a", "train", (), ""))


def test_whole_numbers_serve_as_floats_but_not_the_other_way() -> None:
    changed = record()
    changed["music"]["start_s"] = 1
    row = row_builder(PlanRow)(changed)
    assert row.music.start_s == 1.0
    assert isinstance(row.music.start_s, float)
    changed["shard"] = 3.0
    with pytest.raises(ManifestError, match=r"^shard: expected int, got 3.0$"):
        row_builder(PlanRow)(changed)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("key",), 5, "key: expected str, got 5"),
        (("key",), None, "key: expected str, got None"),
        (("shard",), "3", "shard: expected int, got '3'"),
        (("shard",), True, "shard: expected int, got True"),
        (("shard",), None, "shard: expected int, got None"),
        (("shard",), 2**63, "shard: expected a number of 64 bits, got one of 64"),
        (("domain",), 1, "domain: expected str, got 1"),
        (("tags",), "guitar", "tags: expected list or tuple, got 'guitar'"),
        (("tags",), ["a", 1], "tags: expected str, got 1"),
        (("tags",), {"a": 1}, "tags: expected list or tuple, got {'a': 1}"),
        (("music",), [], r"MusicSpan: expected dict, got \[\]"),
        (("music",), None, "MusicSpan: expected dict, got None"),
        (("music", "start_s"), False, "start_s: expected int or float, got False"),
        (("music", "start_s"), "1.5", "start_s: expected int or float, got '1.5'"),
        (("music", "start_s"), 10**400, "start_s: expected a number of 64 bits, got one of 1329"),
        (("music", "clip_id"), 7, "clip_id: expected str, got 7"),
        (("noises",), [None], "NoiseSpan: expected dict, got None"),
        (("noises", 0, "looped"), 1, "looped: expected bool, got 1"),
        (("noises", 0, "labels"), [["x"]], r"labels: expected str, got \['x'\]"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field(
    path: tuple[Any, ...], value: Any, message: str
) -> None:
    changed = record()
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(ManifestError, match=f"^{message}$"):
        row_builder(PlanRow)(changed)


def test_missing_and_unknown_fields_are_named() -> None:
    changed = record()
    del changed["music"]["song"]
    changed["music"]["sing"] = "s"
    with pytest.raises(
        ManifestError, match=r"^MusicSpan: expected fields .*missing \['song'\], unknown \['sing'\]"
    ):
        row_builder(PlanRow)(changed)
    with pytest.raises(ManifestError, match=r"^PlanRow: expected dict, got \[\]$"):
        row_builder(PlanRow)([])  # type: ignore[arg-type]


def test_fields_with_defaults_are_not_optional_in_a_file() -> None:
    with pytest.raises(ManifestError, match=r"Reject: expected fields .*missing \['split', 'tags'"):
        row_builder(Reject)(dict.fromkeys(
            ("corpus", "clip_id", "path", "stage", "reason", "detail"), ""
        ))  # fmt: skip


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    changed = record() | {"shard": "x" * 10_000}
    with pytest.raises(ManifestError) as caught:
        row_builder(PlanRow)(changed)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": [Infinity]}', "Infinity is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999}', "1e999 is out of range"),
        ('{"a": -1e999}', "-1e999 is out of range"),
        ('{"a": 1, "b": 2, "a": 3}', "a key stands twice"),
        ('{"x": {"a": 1, "a": 1}}', "a key stands twice"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"\\udfff": 1}', "surrogates not allowed"),
        ('{"a": 1', "Expecting"),
        ("", "Expecting value"),
        ('{"a": 1} x', "Extra data"),
        ("[" * 100_000, "recursion"),
        ('{"a": ' + "9" * 5_000 + "}", "digits"),
        (b'{"a": "\xff"}', "codec can't decode"),
        (b'{"a": "\\uDC00"}', "surrogates not allowed"),
    ],
)
def test_text_that_is_no_strict_json_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=r"^recipe.json: expected JSON: ") as caught:
        parse_json(text, "recipe.json")
    assert message in str(caught.value)


def test_whole_surrogate_pairs_and_escapes_are_text() -> None:
    assert parse_json('{"a": "\\ud83d\\ude00\\u00e9"}', "n") == {"a": "😀é"}
    assert parse_json('"a\\\\ud800"', "n") == "a\\ud800"


def test_the_file_is_named_once() -> None:
    with pytest.raises(ManifestError, match=r"^plan.json: key: expected str, got 1$"):
        row_from_json(json.dumps(record() | {"key": 1}), PlanRow, "plan.json")
    with pytest.raises(ManifestError) as caught:
        row_from_json("{", PlanRow, "plan.json")
    assert str(caught.value).count("plan.json") == 1


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_change_of_a_valid_row_is_a_row_or_a_manifest_error(data: st.DataObject) -> None:
    junk = st.none() | st.booleans() | st.integers() | st.text() | st.floats() | st.lists(
        st.integers(), max_size=2
    ) | st.dictionaries(st.text(), st.integers(), max_size=2)  # fmt: skip
    changed = copy.deepcopy(record())
    at: Any = data.draw(st.sampled_from([changed, changed["music"], changed["noises"][0]]))
    at[data.draw(st.sampled_from(sorted(at)) | st.text())] = data.draw(junk)
    try:
        row = row_builder(PlanRow)(changed)
    except ManifestError:
        return
    assert isinstance(row, PlanRow)


def test_free_fields_take_any_json() -> None:
    index = json.loads(canonical_json(SetIndex(
        1, "n", "test", 22_050, (), (0.0,), 1, "flac", {"examples": 1}, (), "0", {}, {}
    )))  # fmt: skip
    index["config"] = {"a": [1, {"b": None}], "c": True}
    assert row_builder(SetIndex)(index).config == index["config"]
    index["tools"] = {"numpy": 2}
    with pytest.raises(ManifestError, match=r"^tools: expected str, got 2$"):
        row_builder(SetIndex)(index)
