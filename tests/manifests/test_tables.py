"""Tables: rows go through Parquet without loss, and a wrong column fails at the border."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_strategies import TABLE_ROWS, rows

from manifests import store, tables
from manifests.errors import ManifestError
from manifests.rows import Clip, PlanRow, Reject
from manifests.tables import arrow_type, read_table, table_schema, to_arrow, write_table

REJECT = Reject("mtat", "7", "7/a.mp3", "scan", "truncated", "expected 29 s, got 12 s", "test")
CLIP = Clip("mtat", "7", "a.mp3", "s", "b", "train", ("guitar", "slow"), "", rms_db=b"\x00\x80\xff")


@pytest.mark.parametrize("row_type", TABLE_ROWS)
def test_every_row_type_goes_through_parquet_without_loss(row_type: type) -> None:
    url = f"memory://tables-test/{row_type.__name__}.parquet"

    @given(st.lists(rows(row_type), max_size=4))
    @settings(deadline=None, max_examples=15)
    def check(table: list[Any]) -> None:
        write_table(url, table, row_type)
        assert read_table(url, row_type) == table

    check()
    store.remove("memory://tables-test")


def test_other_readers_see_plain_columns(tmp_path: Path) -> None:
    path = tmp_path / "clips.parquet"
    write_table(str(path), [CLIP], Clip)
    table = pq.read_table(path)
    assert table.schema.field("tags").type == pa.list_(pa.string())
    assert table.schema.field("source_samples").type == pa.int64()
    assert table.schema.field("peak").type == pa.float64()
    assert table.to_pylist()[0]["rms_db"] == b"\x00\x80\xff"
    assert table.column_names == [*Clip.__dataclass_fields__]


def test_a_file_does_not_depend_on_how_its_rows_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = [replace(CLIP, clip_id=str(number), tags=("a",) * (number % 3)) for number in range(25)]
    pq.write_table(
        pa.Table.from_pylist([asdict(row) for row in table], schema=table_schema(Clip)),
        tmp_path / "whole.parquet",
        compression="zstd",
    )
    for batch_rows in (1, 7, 25, 1000):
        monkeypatch.setattr(tables, "_BATCH_ROWS", batch_rows)
        write_table(str(tmp_path / "batches.parquet"), iter(table), Clip)
        found = (tmp_path / "batches.parquet").read_bytes()
        assert found == (tmp_path / "whole.parquet").read_bytes()


def test_nested_rows_are_structs() -> None:
    schema = table_schema(PlanRow)
    assert pa.types.is_struct(schema.field("music").type)
    assert pa.types.is_struct(schema.field("noises").type.value_type)
    assert schema.field("domain").type == pa.string()


def test_no_rows_is_a_table_too(tmp_path: Path) -> None:
    path = str(tmp_path / "none.parquet")
    write_table(path, [], Reject)
    assert read_table(path, Reject) == []


def write_columns(path: Path, columns: dict[str, Any]) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_missing_renamed_and_retyped_columns_are_named(tmp_path: Path) -> None:
    table = to_arrow([REJECT], Reject)
    url = str(tmp_path / "a.parquet")
    for broken, message in (
        (table.drop_columns(["reason"]), "another type: reason: string$"),
        (table.rename_columns({"reason": "reson"}), "another type: reason: string$"),
        (
            table.set_column(0, "corpus", pa.array([1])).drop_columns(["tags"]),
            "another type: corpus: string, tags: list<item: string>$",
        ),
        (table.append_column("extra", pa.array([1])), "none, but there are others$"),
        (table.select(table.column_names[::-1]), "none, but there are others$"),
    ):
        pq.write_table(broken, url)
        with pytest.raises(ManifestError, match=r"a.parquet: expected the columns of Reject") as e:
            read_table(url, Reject)
        assert str(e.value).endswith(message.rstrip("$"))


def test_nulls_in_a_column_are_refused_by_name(tmp_path: Path) -> None:
    table = to_arrow([REJECT], Reject)
    column = pa.array([None], pa.string())
    pq.write_table(table.set_column(4, "reason", column), tmp_path / "a.parquet")
    with pytest.raises(ManifestError, match=r"^reason: expected str, got None$"):
        read_table(str(tmp_path / "a.parquet"), Reject)


@pytest.mark.parametrize("data", [b"", b"no table", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(ManifestError, match=r"a.parquet: expected a Parquet table: "):
        read_table(str(path), Reject)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none.parquet: cannot be read: No such file"):
        read_table(str(tmp_path / "none.parquet"), Reject)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_cut_table_is_refused(data: st.DataObject) -> None:
    url = "memory://tables-test-cut/a.parquet"
    write_table(url, [REJECT] * 3, Reject)
    whole = store.read_bytes(url)
    store.write_bytes(url, whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ManifestError, match="expected a Parquet table"):
        read_table(url, Reject)
    store.remove("memory://tables-test-cut")


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_changed_byte_is_a_table_or_a_manifest_error(data: st.DataObject) -> None:
    url = "memory://tables-test-flip/a.parquet"
    write_table(url, [REJECT] * 3, Reject)
    changed = bytearray(store.read_bytes(url))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    store.write_bytes(url, bytes(changed))
    try:
        assert isinstance(read_table(url, Reject), list)
    except ManifestError as error:
        assert "Reject" in str(error) or "Parquet" in str(error) or "expected" in str(error)
    store.remove("memory://tables-test-flip")


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_csv_joins_lists_and_leaves_out_bytes(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    write_table(str(path), [CLIP, replace(CLIP, clip_id='8,"x"\n', tags=())], Clip)
    first, second = read_csv(path)
    assert "rms_db" not in first
    assert first["tags"] == "guitar;slow"
    assert (second["clip_id"], second["tags"]) == ('8,"x"\n', "")
    assert first["peak"] == "0.0"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_cells_that_a_spreadsheet_would_run_are_text(tmp_path: Path, start: str) -> None:
    path = tmp_path / "rejects.csv"
    formula = f"{start}HYPERLINK(1)"
    write_table(str(path), [replace(REJECT, path=formula, tags=(formula, "b"))], Reject)
    (row,) = read_csv(path)
    assert row["path"] == f"'{formula}"
    assert row["tags"] == f"'{formula};b"
    assert row["detail"] == REJECT.detail


def test_no_cell_begins_behind_a_carriage_return(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    write_table(str(path), [replace(REJECT, path="a\r=HYPERLINK(1),b")], Reject)
    (row,) = read_csv(path)
    assert row["path"] == "a\r=HYPERLINK(1),b"


@dataclass(frozen=True)
class Level:
    level_db: float


def test_negative_numbers_stay_numbers_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    write_table(str(path), [Level(-12.5)], Level)
    assert path.read_text() == "level_db\n-12.5\n"


@dataclass(frozen=True)
class Unknown:
    when: complex


def test_annotations_without_a_column_type_are_refused() -> None:
    with pytest.raises(TypeError, match="no column type for <class 'complex'>"):
        table_schema(Unknown)
    for annotation in (dict[str, int], tuple[int, int]):
        with pytest.raises(TypeError, match="no column type for"):
            arrow_type(annotation)


def test_tables_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    write_table(str(path), [REJECT], Reject)

    def full(self: Path, data: bytes) -> int:
        self.open("wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ManifestError, match=r"a.parquet: cannot be written: No space left"):
        write_table(str(path), [REJECT] * 5, Reject)
    assert read_table(str(path), Reject) == [REJECT]
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
