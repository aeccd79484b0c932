"""The demo corpora whole: written, scanned by the readers, same bytes for any number of workers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.demo import DemoSummary, plan_demo_corpora, write_demo_corpora
from pipeline.stages.scan import ScanOptions, scan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoSummary]:
    target = tmp_path_factory.mktemp("whole") / "demo"
    return target, write_demo_corpora(target, pretrain_songs=3, jobs=2)


def test_size_and_number_of_files(written: tuple[Path, DemoSummary]) -> None:
    target, summary = written
    assert list(summary.corpora) == ["mtat", "mtg-jamendo", "audioset", "musan", "recordings"]
    assert [n for n, _, _ in summary.corpora.values()] == [450, 65, 84, 52, 20]
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) < 61e6


@pytest.mark.parametrize("name", ["mtat", "mtg-jamendo", "audioset", "musan", "recordings"])
def test_scan_rejects_exactly_what_is_broken(
    name: str, written: tuple[Path, DemoSummary], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target, summary = written
    folder = next(plan.folder for plan in plan_demo_corpora(0, 1, 3) if plan.corpus == name)
    reader = "folder" if name == "recordings" else name
    found = scan(reader, str(target / folder), options=ScanOptions(jobs=1))
    expected = sorted(row for row in summary.expected_rejects if row[0] == name)
    assert sorted((name, r.path, r.reason) for r in found.rejects) == expected


def test_one_worker_writes_the_same_bytes(
    written: tuple[Path, DemoSummary], tmp_path: Path
) -> None:
    target, summary = written
    assert write_demo_corpora(tmp_path / "demo", pretrain_songs=3, jobs=1) == summary
    for path in target.rglob("*"):
        if path.is_file():
            other = tmp_path / "demo" / path.relative_to(target)
            digests = {hashlib.sha256(p.read_bytes()).digest() for p in (path, other)}
            assert len(digests) == 1, path
