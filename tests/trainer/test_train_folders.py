"""The folder of a run: of another run, not writable, or in use by another process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, SET, refused, run, run_well, values

from trainer.runs.folder import read_config


def test_a_run_of_another_configuration(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shared = ("--shards", suite, "--out", out, "--encoder", dat_run, *COMPARISON)
    run_well("baseline", *shared)
    refused(
        ("baseline", *shared, "--epochs", 3), 2,
        f"{out}: expected a run of this configuration, got another: tagger.epochs: has 2, asked "
        "for 3; name another --out, or --overwrite to remove the old run",
    )  # fmt: skip
    assert read_config(out)["tagger"]["epochs"] == 2
    before = values(out, "train/loss")
    run_well("baseline", *shared)
    assert values(out, "train/loss") == before, "a finished run stays as it is"
    refused(("supervised", *shared), 2, 'method: has "baseline", asked for "supervised"')
    run_well("supervised", *shared, "--overwrite")
    assert read_config(out)["method"] == "supervised" and len(values(out, "train/loss")) == 2


def test_a_folder_that_cannot_be_written(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    shared = ("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON)
    refused((*shared, "--out", tmp_path / "file"), 2, "file: expected a folder, got a file")
    below = tmp_path / "file" / "run"
    refused((*shared, "--out", below), 1, f"{below}: cannot be written: Not a directory; name")


def test_folders_of_stages_go_with_the_run(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Another method in the same folder finds nothing of the one before."""
    out = tmp_path / "run"
    run_well("dat", "--shards", suite, "--out", out, *DAT)
    shared = ("--shards", suite, "--out", out, "--encoder", dat_run, *COMPARISON)
    refused(("adabn", *shared), 2, "--overwrite to remove the old run")
    run_well("adabn", *shared, "--overwrite")
    kept = {path.name for path in out.iterdir()}
    assert kept == {
        "baseline",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "tensorboard",
        ".lock",
    }


def test_another_encoder_or_other_data_are_another_run(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    run_well("dat", "--stage", 1, "--shards", suite, "--out", other, *DAT, "--seed", 1)
    shared = ("baseline", "--shards", suite, "--out", out, *COMPARISON)
    run_well(*shared, "--encoder", dat_run)
    refused(
        (*shared, "--encoder", other), 2,
        "expected the initial weights (or teacher) that the run began with, got others",
        "name another --out",
    )  # fmt: skip
    changed = tmp_path / "train"
    write_set(str(changed), **{**SET, "n_songs": 8, "excerpts": 2, "corpus": "changed"})
    sets = ("--set", f"train={changed}", "--encoder", dat_run)
    refused((*shared, *sets), 2, "expected the sets that the run began with, got others")


def test_one_process_at_a_time(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trainer.comparisons as comparisons

    out, real = tmp_path / "run", comparisons.tag_loss
    shared = ("baseline", "--shards", suite, "--out", out, "--encoder", dat_run, *COMPARISON)
    seen = []

    def loss(*arguments: object) -> object:
        if not seen:
            seen.append(None)
            seen[0] = run(*shared)  # type: ignore[call-overload]
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(comparisons, "tag_loss", loss)
    run_well(*shared)
    assert seen[0].exit_code == 2 and "one trains there now; wait for it" in seen[0].output  # type: ignore[attr-defined]
