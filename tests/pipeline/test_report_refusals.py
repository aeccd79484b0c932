"""``prep report`` on sets that are absent, unfinished, changed or made by somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_sets import Page, build_sets, run

from manifests.errors import ManifestError, UsageError
from manifests.rows import Reject
from manifests.tables import read_table, write_table
from pipeline.finish import ExampleRow
from pipeline.report.contents import load_contents
from pipeline.stages.report import default_page, report_set


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sets(tmp_path_factory.mktemp("refusals"), ("pairs",))


@pytest.fixture
def copied(sets: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "set"
    copy.mkdir()
    for path in (sets / "pairs").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_absent_or_unfinished_set(copied: Path) -> None:
    missing = run("report", str(copied / "none"))
    assert missing.exit_code == 1 and "expected a set with index.json, found none" in missing.stderr
    (copied / "index.json").unlink()
    (copied / ".plan").mkdir()
    unfinished = run("report", str(copied))
    assert unfinished.exit_code == 1 and "its build is not finished" in unfinished.stderr


def test_page_must_be_html(copied: Path) -> None:
    before = (copied / "index.json").read_bytes()
    done = run("report", str(copied), "-o", str(copied / "index.json"))
    assert done.exit_code == 2 and "expected a name that ends in .html" in done.stderr
    assert (copied / "index.json").read_bytes() == before
    with pytest.raises(UsageError, match=r"ends in \.html"):
        report_set(str(copied), out="page.txt")


def test_set_without_its_tables_of_rejects_and_tags(copied: Path, tmp_path: Path) -> None:
    (copied / "rejects.parquet").unlink()
    (copied / "tags.json").unlink()
    out = tmp_path / "page.html"
    figures = report_set(str(copied), out=str(out), n_examples=0, n_sample=1).figures
    assert {c.title: c.state for c in figures.checks}["rejects"] == "watch"
    assert "The set came without its table of rejects." in Page(out.read_text("utf-8")).text
    assert [t.examples for t in figures.tags.kept] == [5, 2]


def test_no_rejects(copied: Path, tmp_path: Path) -> None:
    write_table(str(copied / "rejects.parquet"), [], Reject)
    out = tmp_path / "page.html"
    report_set(str(copied), out=str(out), n_examples=0, n_sample=1)
    assert "Nothing was rejected." in Page(out.read_text("utf-8")).text


def rewritten(folder: Path, **changes: object) -> None:
    """Change the first row of ``examples.parquet``."""
    path = str(folder / "examples.parquet")
    rows = read_table(path, ExampleRow)
    write_table(path, [replace(rows[0], **changes), *rows[1:]], ExampleRow)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": 7}, r"expected a place inside one of 2 shards, got shard 7"),
        ({"offset": 10**12}, r"expected a place inside one of 2 shards"),
        ({"peaks": (float("nan"),) * 4}, r"expected finite figures, got NaN or infinity"),
        ({"levels_db": ()}, r"expected figures of \['clean', 'noisy.snr_-10'"),
        ({"members": ("audio",)}, r"expected figures of"),
        ({"achieved_db": ()}, r"expected figures of"),
        (
            {"targets_db": (0.0, 9.0, 8.0)},
            r"expected targets \[.*\] dB by its index, got \[0\.0, 9",
        ),
    ],
)
def test_tables_that_do_not_fit(copied: Path, changes: dict[str, object], message: str) -> None:
    rewritten(copied, **changes)
    with pytest.raises(ManifestError, match=message):
        load_contents(str(copied))


def test_rows_missing_or_tags_malformed(copied: Path) -> None:
    rows = read_table(str(copied / "examples.parquet"), ExampleRow)
    write_table(str(copied / "examples.parquet"), rows[1:], ExampleRow)
    with pytest.raises(ManifestError, match="expected 5 examples by its index, got 4; prep verify"):
        load_contents(str(copied))
    write_table(str(copied / "examples.parquet"), rows, ExampleRow)
    (copied / "tags.json").write_text("[]")
    with pytest.raises(ManifestError, match=r"tags\.json: expected an object, got list"):
        load_contents(str(copied))


def test_a_row_that_points_at_another_example(copied: Path) -> None:
    rows = read_table(str(copied / "examples.parquet"), ExampleRow)
    other = next(r for r in rows[1:] if r.shard == rows[0].shard)
    rewritten(copied, offset=other.offset, n_bytes=other.n_bytes)
    with pytest.raises(
        ManifestError, match=f"{rows[0].key}: expected this example alone .*{other.key}"
    ):
        report_set(str(copied), write_page=False)


def test_a_changed_sample_is_not_reported_on(copied: Path) -> None:
    rows = read_table(str(copied / "examples.parquet"), ExampleRow)
    path = copied / f"shard-{rows[0].shard:06d}.tar"
    data = bytearray(path.read_bytes())
    data[rows[0].offset + 40_000] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(ManifestError, match=rows[0].key):
        report_set(str(copied), write_page=False)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mtat-test-x-musan-k1", "mtat-test-x-musan-k1-report.html"),
        ("../../etc/x y", "_.._etc_x_y-report.html"),
        ("..", "set-report.html"),
        ("", "set-report.html"),
    ],
)
def test_default_page_is_a_plain_name(name: str, file: str) -> None:
    assert default_page(name) == file
