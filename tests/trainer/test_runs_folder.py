"""A run's folder: made, resumed, refused, overwritten, locked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from trainer.runs.folder import differences, open_run, read_config
from trainer.runs.lock import locked

CONFIG = {"seed": 1, "loader": {"batch_size": 48, "n_workers": 2}, "snrs": (10.0, -10.0)}


def test_a_new_run_has_its_config_and_places(tmp_path: Path) -> None:
    run = open_run(tmp_path / "a" / "run", CONFIG)
    assert not run.resumed
    assert read_config(run.path) == {**CONFIG, "snrs": [10.0, -10.0]}
    assert run.config == run.path / "config.json" and run.metrics == run.path / "metrics.jsonl"
    assert run.tensorboard == run.path / "tensorboard"
    assert run.last == run.path / "checkpoints" / "last"
    assert run.best == run.path / "checkpoints" / "best"
    assert not list(run.path.glob("*.partial"))


def test_the_same_configuration_resumes(tmp_path: Path) -> None:
    open_run(tmp_path, CONFIG)
    (tmp_path / "kept").write_text("x")
    assert open_run(tmp_path, CONFIG).resumed
    assert open_run(tmp_path, CONFIG, overwrite=True).resumed
    assert (tmp_path / "kept").exists()


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    open_run(tmp_path, CONFIG)
    other = {"seed": 2, "loader": {"batch_size": 24, "n_workers": 2}, "new": None}
    with pytest.raises(UsageError) as error:
        open_run(tmp_path, other)
    text = str(error.value)
    assert "loader.batch_size: has 48, asked for 24; new: has nothing, asked for null" in text
    assert "seed: has 1, asked for 2; snrs: has [10.0, -10.0], asked for nothing" in text
    assert "n_workers" not in text and "--overwrite" in text
    assert read_config(tmp_path)["seed"] == 1


def test_long_differences_are_cut(tmp_path: Path) -> None:
    open_run(tmp_path, {f"option_{number:02d}": 0 for number in range(20)})
    with pytest.raises(UsageError, match=r"option_11: has 0, asked for 1; and 8 more; name"):
        open_run(tmp_path, {f"option_{number:02d}": 1 for number in range(20)})


def test_what_changes_no_result_may_differ(tmp_path: Path) -> None:
    open_run(tmp_path, CONFIG)
    other = {**CONFIG, "loader": {"batch_size": 48, "n_workers": 8}}
    assert open_run(tmp_path, other, may_differ=["loader.n_workers"]).resumed
    assert open_run(tmp_path, other, may_differ=["loader"]).resumed
    with pytest.raises(UsageError, match="n_workers"):
        open_run(tmp_path, other, may_differ=["load", "seed"])


def test_overwrite_removes_the_old_run(tmp_path: Path) -> None:
    run = open_run(tmp_path, CONFIG)
    run.last.mkdir(parents=True)
    run.metrics.write_text("{}\n")
    new = open_run(tmp_path, {"seed": 9}, overwrite=True)
    assert not new.resumed and sorted(p.name for p in tmp_path.iterdir()) == ["config.json"]


@pytest.mark.parametrize("stage", ["", "encoder"])
def test_a_run_that_trains_is_not_removed(tmp_path: Path, stage: str) -> None:
    folder = open_run(tmp_path, CONFIG).path / stage
    folder.mkdir(exist_ok=True)
    with locked(folder), pytest.raises(UsageError, match="one trains there now; wait for it"):
        open_run(tmp_path, {"seed": 9}, overwrite=True)
    assert open_run(tmp_path, CONFIG).resumed, "nothing was removed"
    assert not open_run(tmp_path, {"seed": 9}, overwrite=True).resumed


def test_what_the_new_run_begins_with_is_not_removed(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", CONFIG)
    (run.path / "teacher").mkdir()
    (tmp_path / "link").symlink_to(run.path / "teacher")
    for one in (run.path / "teacher", tmp_path / "link", run.path):
        with pytest.raises(UsageError, match="to remove nothing that the run begins with, got"):
            open_run(run.path, {"seed": 9}, overwrite=True, begins_with=[one])
        assert (run.path / "teacher").is_dir()
        assert open_run(run.path, CONFIG, overwrite=True, begins_with=[one]).resumed
    open_run(run.path, {"seed": 9}, overwrite=True, begins_with=[tmp_path / "elsewhere"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_that_are_no_run_are_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"expected a run or an empty folder, got files but no"):
        open_run(tmp_path, CONFIG, overwrite=overwrite)
    with pytest.raises(UsageError, match="expected a folder, got a file"):
        open_run(tmp_path / "thesis.tex", CONFIG, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_configurations_are_json(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected JSON values"):
        open_run(tmp_path / "a", {"x": float("nan")})
    with pytest.raises(UsageError, match="expected JSON values"):
        open_run(tmp_path / "b", {"x": object()})
    (tmp_path / "config.json").write_text(json.dumps([1]))
    with pytest.raises(ManifestError, match="expected an object of options"):
        read_config(tmp_path)


def test_differences_of_nested_values() -> None:
    found = differences({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 1, "c": 3}, "d": {"e": 1}})
    assert [name for name, _ in found] == ["a.c", "d"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = open_run(tmp_path, CONFIG)
    with (
        locked(run.path),
        pytest.raises(UsageError, match="one trains there now"),
        locked(run.path),
    ):
        pass
    with locked(run.path):
        assert open_run(tmp_path, CONFIG).resumed


@pytest.mark.parametrize("overwrite", [False, True])
def test_another_programs_config_is_never_a_run(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"expected a run, got a config\.json of something else"):
        open_run(tmp_path, {"seed": 1}, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").exists()
