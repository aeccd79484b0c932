"""Options of ``train``, on the command line and in a file: wrong ones are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import COMPARISON, DAT, refused, run_well, values

from manifests.errors import UsageError
from trainer.compute import open_compute
from trainer.config import SystemConfig
from trainer.experiment import train_run
from trainer.presets import preset_config
from trainer.roles import Roles
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.folder import read_config


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--nonsense"], ["No such option", "--nonsense"]),
        (["nonsense"], ["No such command 'nonsense'"]),
        (["dat", "--nonsense", "1"], ["No such option", "--nonsense"]),
        (["dat", "--shards", "x"], ["Missing option '--out'"]),
        (["baseline", "--lambda", "1", "--out", "x"], ["No such option", "--lambda"]),
        (["dat", "--out", "x", "--epochs", "0"], ["'--epochs': 0 is not in the range x>=1"]),
        (["dat", "--out", "x", "--encoder-batch-size", "1"], ["1 is not in the range x>=2"]),
        (["dat", "--out", "x", "--lr", "0"], ["0.0 is not in the range x>0"]),
        (["dat", "--out", "x", "--workers", "-1"], ["-1 is not in the range x>=0"]),
        (["dat", "--out", "x", "--width", "0"], ["0.0 is not in the range 0<x<=16"]),
        (["dat", "--out", "x", "--lambda", "lots"], ["'lots' is not a valid float"]),
        (
            ["dat", "--out", "x", "--preset", "mine"],
            ["'mine' is not one of 'default', 'thesis', 'demo'"],
        ),
        (["dat", "--out", "x", "--classifier-hidden", "a"], ["--classifier-hidden", "got 'a'"]),
        (["dat", "--out", "x", "--classifier-hidden", "0"], ["sizes such as 100 or 1024,1024"]),
        (["dat", "--out", "x"], ["--shards: expected the folder of a suite or set, got nothing"]),
        (["dat", "--out", "x", "--set", "train"], ["--set: expected ROLE=SET with a role of"]),
        (["dat", "--out", "x", "--set", "tests=y"], ["--set: expected ROLE=SET", "got tests=y"]),
        (["dat", "--out", "x", "--resume"], ["--resume: expected a run in x, found none"]),
        (["dat", "--out", "x", "--config", "none.toml"], ["--config none.toml: expected a TOML"]),
        (["evaluate", "--shards", "y"], ["Missing option '--checkpoint'"]),
        (["evaluate", "--checkpoint", "x", "--shards", "y"], ["y: expected a suite"]),
        (["tag", "--checkpoint", "x"], ["Missing argument 'AUDIO...'"]),
        (["tag", "a.wav", "--checkpoint", "x"], ["x: expected a run or checkpoint, found none"]),
        (["tag", "a.wav", "--checkpoint", "x", "--decoder", "y"], ["'--decoder': 'y' is not one"]),
        (["export", "--checkpoint", "x", "-o", "y"], ["x: expected a run or checkpoint"]),
        (["grid", "--out", "x"], ["--shards: expected the folder of a suite, got nothing"]),
    ],
)
def test_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], texts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status = 1 if texts == ["y: expected a suite"] else 2
    refused(arguments, status, *texts)
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_options_that_do_not_fit_together(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    shards = ("--shards", suite, "--out", tmp_path / "x")
    for options, text in (
        (("--init", dat_run), "--init: expected with --stage 2 or --stage 3"),
        (("--stage", 1, "--init", dat_run), "--init: expected with --stage 2 or --stage 3"),
        (("--stage", 1, "--encoder", dat_run), "got it with --stage 1; leave one out"),
        (("--stage", 3, "--encoder", dat_run), "got it with --stage 3; leave one out"),
        (("--stage", 2, "--encoder", dat_run, "--init", dat_run), "got it with --init"),
        (("--encoder", "random"), "--encoder random: expected a pretrained encoder for dat"),
        (("--stage", 2), "x: expected a run or checkpoint of encoder, found none"),
        (("--stage", 3), "x: expected a run or checkpoint of domain, found none"),
        (("--encoder", tmp_path / "gone"), "gone: expected a run or checkpoint of encoder"),
        (("--snr-low-db", 5, "--snr-high-db", -5), "got 5 to -5 dB; widen it"),
        (("--snr-high-db", 20), "cannot hear 11, 12"),
        (("--e2h", 1, "--snr-low-db", 7), "SNR schedule: expected a first width within 0 and 3.0"),
    ):
        refused(("dat", *shards, *DAT, *options), 2, text)
        assert not (tmp_path / "x").exists(), "nothing is written"
    nothing = ("--consistency", "none")
    refused(("consistency", *shards, *COMPARISON, *nothing), 2, "that is 'train baseline'")


def test_a_stage_of_a_method_that_has_none(tmp_path: Path) -> None:
    config = preset_config("thesis", "baseline")
    with (
        open_compute(SystemConfig(device="cpu", threads=1)) as compute,
        pytest.raises(UsageError, match="--stage: expected with 'train dat' only, got baseline"),
    ):
        train_run(config, Roles({}), tmp_path / "run", compute, only_stage=2)
    assert not (tmp_path / "run").exists()


# ---- --config --------------------------------------------------------------------------


def write_config(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_options_from_a_file(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Options of other methods are passed over, and the command line wins."""
    file = write_config(
        tmp_path / "run.toml",
        f'''
shards = "{suite}"
set = ["valid={suite / "valid"}"]
encoder = "{dat_run}"
lambda = 0.25
freeze = false
augment = false
classifier_hidden = [8, 4]
classifier-epochs = 1
epochs = 7
input-level = "rms"
select = "clean"
''',
    )
    out = tmp_path / "dat"
    options = [o for o in DAT if o not in ("--no-augment",)]
    run_well("dat", "--config", file, "--out", out, *options[:-2], "--epochs", 1)
    config = read_config(out)
    assert config["tagger"]["lambda_dom"] == 0.25 and config["tagger"]["freeze"] is False
    assert config["encoder"]["augment"] is False and config["domain"]["hidden"] == [8, 4]
    assert config["tagger"]["epochs"] == 1, "the command line wins"
    assert config["tagger"]["select"] == "clean"
    run_well("baseline", "--config", file, "--out", tmp_path / "base", *COMPARISON)
    assert read_config(tmp_path / "base")["tagger"]["lambda_dom"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 1", "run.toml: unknown option 'epoch'; see --help for the names"),
        ("epochs = ", "run.toml: expected a TOML file: "),
        ("epochs = 2.5", "'--epochs': '2.5' is not a valid integer range"),
        ("epochs = true", "'--epochs': 'True' is not a valid integer range"),
        ("epochs = 0", "0 is not in the range x>=1"),
        ("[epochs]\nx = 1", "run.toml: epochs: expected a value, got a table; write epochs = …"),
        ("freeze = 'perhaps'", "'perhaps' is not a valid boolean"),
        ("input-level = 'loud'", "'loud' is not one of 'rms', 'asis'"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    file = write_config(tmp_path / "run.toml", text)
    refused(("dat", "--config", file, "--out", tmp_path / "x"), 2, message)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    refused(("dat", "--config", tmp_path / "run.toml", "--out", "x"), 2, "expected a TOML file")


# ---- --select --------------------------------------------------------------------------


@pytest.mark.parametrize("select", ["clean", "mean"])
def test_selection(suite: Path, dat_run: Path, tmp_path: Path, select: str) -> None:
    """``clean`` needs no noisy label: with noisy scores turned around it chooses the same."""
    out = tmp_path / "run"
    run_well(
        "supervised", "--shards", suite, "--out", out, "--encoder", dat_run, *COMPARISON,
        "--select", select, "--validations", 4, "--lr", "1e-2",
    )  # fmt: skip
    assert values(out, "valid/score") == values(out, f"valid/auc_{select}")
    best = load_checkpoint(out / "checkpoints" / "best").progress
    scores = values(out, f"valid/auc_{select}")
    assert best["step"] == 1 + scores.index(max(scores))
