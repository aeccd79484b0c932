"""A thaw that dies at a chosen step goes on, and ends with the files of one that never did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from frozen_teams import build, copied, roots, rows, run, thaw
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from pipeline.frozen import thawed_set
from pipeline.stages import thaw as thaw_stage


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resume")
    build(corpora, root / "set")
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


def test_a_thaw_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = copied(corpora, tmp_path)
    (team.music / "clips/clip06.wav").unlink()
    thaw(recipe, team, tmp_path / "once", code=1)

    def dies_after(n: int) -> Any:
        real = thaw_stage.run_tasks

        def tasks(function: Any, arguments: Any, **options: Any) -> Any:
            for number, result in enumerate(real(function, arguments, **options)):
                if number == n:
                    raise KeyboardInterrupt
                yield result

        return tasks

    for n in (1, 2):
        with monkeypatch.context() as patch:
            patch.setattr(thaw_stage, "run_tasks", dies_after(n))
            run("thaw", recipe, *roots(team), "--out", tmp_path / "twice", "--jobs", 1, code=130)
        assert not (tmp_path / "twice/index.json").exists()
    found = thaw(recipe, team, tmp_path / "twice", code=1)
    assert found["n_resumed"] == 3
    assert set_hashes(tmp_path / "twice") == set_hashes(tmp_path / "once")
    again = thaw(recipe, team, tmp_path / "twice", code=1)
    assert again["n_resumed"] == 4 and again["verdicts"] == found["verdicts"]


def test_shards_are_numbered_without_gaps_also_when_killed_in_between(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All music of shards 0 and 2 is missing, so 1 and 3 become 0 and 1."""
    team = copied(corpora, tmp_path)
    plan = rows(recipe)
    gone = {row["music"]["clip_id"] for row in plan if row["shard"] in (0, 2)}
    for clip_id in gone:
        next(team.music.glob(f"{clip_id}.*")).unlink()
    thaw(recipe, team, tmp_path / "once", code=1)
    kept = [row["key"] for row in plan if row["music"]["clip_id"] not in gone]
    assert [e.key for e in read_set(tmp_path / "once")] == kept
    run("verify", tmp_path / "once", "--jobs", 1)
    names = sorted(path.name for path in (tmp_path / "once").glob("shard-*"))
    assert names == [f"shard-00000{n}.{ext}" for n in (0, 1) for ext in ("json", "tar")]

    for after in range(1, 8):  # die at each step of the numbering and finishing
        out = tmp_path / f"killed{after}"
        steps = 0

        def stop(real: Any, limit: int = after) -> Any:
            def step(*arguments: Any) -> Any:
                nonlocal steps
                steps += 1
                if steps > limit:
                    raise KeyboardInterrupt
                return real(*arguments)

            return step

        with monkeypatch.context() as patch:
            patch.setattr(thawed_set, "move", stop(thawed_set.move))
            patch.setattr(thawed_set.store, "write_text", stop(thawed_set.store.write_text))
            patch.setattr(thawed_set, "write_table", stop(thawed_set.write_table))
            run("thaw", recipe, *roots(team), "--out", out, "--jobs", 1, code=130)
        thaw(recipe, team, out, code=1)
        assert set_hashes(out) == set_hashes(tmp_path / "once"), after
