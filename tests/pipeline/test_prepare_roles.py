"""A user's folders as music and as noise at once: which one the folder's options are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_clips import NO_TAGS, clip, scan_of
from tiny_corpora import Corpora, MakePlan

from manifests.errors import UsageError
from pipeline.config import SetConfig
from pipeline.sources import Sources
from pipeline.stages.plan import plan_set


def test_a_table_and_a_split_are_for_the_music(
    corpora: Corpora, make_plan: MakePlan, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("path\nclips/clip00.wav\nclips/clip01.wav\n")
    options = {"folder_csv": str(table), "folder_split": "test"}
    plan = make_plan(split="test", noise_split="train", corpus_options=options)
    assert {row.music.path for row in plan.rows} <= {"clips/clip00.wav", "clips/clip01.wav"}
    assert {span.path[:5] for row in plan.rows for span in row.noises} == {"noise"}
    assert plan.config.corpus_options["folder_split"] == "test"


@pytest.mark.parametrize(
    ("music", "expected"),
    [({"folder": "m"}, ({"x": 1}, None)), ({}, ({"folder_csv": "t", "x": 1}, "d"))],
)
def test_options_of_a_role(music: dict[str, str], expected: tuple[Any, Any]) -> None:
    given = {"folder_csv": "t", "x": 1}
    sources = Sources(music, {"folder": "n"}, {"folder": "d"}, given)
    assert (sources.options_of("noise", "folder"), sources.metadata_of("noise", "folder")) == (
        expected
    )
    if music:
        assert sources.options_of("music", "folder") == given
        assert sources.metadata_of("music", "folder") == "d"


def test_no_file_is_mixed_with_itself() -> None:
    config = SetConfig(music=("folder",), noise=("folder",), split="train", halves="none")
    scans = [scan_of([clip(f"c{i}") for i in range(6)])]
    plan = plan_set(config, scans, scans, NO_TAGS, band_hz=None)
    assert len(plan.rows) == 6
    for row in plan.rows:
        assert row.noises[0].source_sha256 != row.music.source_sha256
    alone = [scan_of([clip("c0")])]
    with pytest.raises(UsageError, match="expected that many usable noise clips, got 0"):
        plan_set(config, alone, alone, NO_TAGS, band_hz=None)
