"""What wrong use of ``train`` gets: one line that says what to do, and an exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, SAMPLES, SET, assert_same_weights, run, run_well, values

import trainer.cli.methods
from manifests.errors import UsageError
from trainer.cli.group import _COMMANDS
from trainer.cli.option_table import RANGES, SECTIONS, USED_BY, option_name
from trainer.cli.options import attribute_helps
from trainer.compute import open_compute
from trainer.config import METHODS, SystemConfig
from trainer.experiment import train_run
from trainer.presets import preset_config
from trainer.roles import Roles
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.folder import read_config


def refused(arguments: Sequence[object], status: int, *texts: str) -> str:
    """Run ``train``, which must refuse with a status and one line that holds the texts."""
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    if "Usage:" not in result.output:
        lines = [line for line in result.output.splitlines() if line.startswith("train: ")]
        assert len(lines) == 1, result.output
    for text in texts:
        assert text in " ".join(result.output.split()), result.output
    return result.output


@pytest.mark.parametrize("command", ["", *_COMMANDS])
def test_help_of_every_command(command: str) -> None:
    result = run(*filter(None, [command]), "--help")
    assert result.exit_code == 0 and "Usage: train" in result.output
    words = " ".join(result.output.split())
    if command in METHODS:
        assert "--out RUN" in words and "--epochs INTEGER RANGE" in words
        assert "Adam's learning rate. [default: 0.0001]" in words
        assert "at the clip" not in words
    if command:
        options = [line for line in result.output.splitlines() if line.startswith("  -")]
        assert len(options) >= 4, "every command has options, and help for them"


def test_help_shows_the_defaults_of_the_preset_that_is_used() -> None:
    words = {m: " ".join(run(m, "--help").output.split()) for m in ("dat", "baseline", "robust")}
    assert "levels of its training shards. [default: rms]" in words["dat"]
    assert "else it learns on. [default: --freeze]" in words["dat"]
    assert "0.5 for confusion and entropy. [default: by the loss' form]" in words["dat"]
    assert "loss, or none. [default: embedding]" in words["robust"]
    assert "the target half is not opened. [default: all]" in words["robust"]
    for option in ("--lambda", "--classifier-epochs", "--consistency", "--stage", "--extra-target"):
        assert option in words["dat"] and option not in words["baseline"], option


def test_every_field_has_help_and_every_range_a_field() -> None:
    fields = {
        (section, name)
        for section, (config_class, _) in SECTIONS.items()
        for name in config_class.__dataclass_fields__  # type: ignore[attr-defined]
    }
    for section, name in fields:
        assert attribute_helps(SECTIONS[section][0])[name]
    assert {name.split(".")[-1] for name in RANGES} <= {name for _, name in fields}
    assert set(USED_BY) <= fields
    options = [option_name(*field) for field in fields]
    assert len(set(options)) == len(options)


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


def test_missing_roles_are_named(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    record = json.loads((suite / "suite.json").read_text())
    for role in ("train", "valid", "extra-target"):
        rest = {r: f for r, f in record.items() if r not in (role, f"pretrain-{role}")}
        (tmp_path / "suite" / "suite.json").write_text(json.dumps(rest))
        shared = ("dat", "--shards", tmp_path / "suite", "--out", tmp_path / "run", *DAT)
        sets = [v for r in rest for v in ("--set", f"{r}={suite / r}")]
        options = ("--encoder", dat_run, "--extra-target")
        refused(
            (*shared, *sets, *options), 2,
            f"expected a set with the role {role}, got ", f"name one with --set {role}=SET",
        )  # fmt: skip
    refused((*shared[:2], tmp_path, "--out", tmp_path / "run"), 1, "expected a suite (suite.json")
    assert not (tmp_path / "run").exists()


def test_sets_that_do_not_fit(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is said before stage 1 begins."""

    def given(role: str, **options: object) -> tuple[object, ...]:
        folder = tmp_path / "set"
        shutil.rmtree(folder, ignore_errors=True)
        write_set(str(folder), name="odd", **{**SET, "n_songs": 8, **options})  # type: ignore[arg-type]
        sets = ("--set", f"{role}={folder}")
        return ("dat", "--shards", suite, *sets, "--out", tmp_path / "run", *DAT)

    with monkeypatch.context() as patch:
        patch.setattr("tiny_sets.TAGS", ("guitar", "piano", "drums", "kazoo"))
        other_tags = given("valid", halves=False)
    refused(
        other_tags, 1,
        "odd: expected the 4 tags of the training set, got 4: lacks ['voice'], adds ['kazoo']",
    )  # fmt: skip
    refused(given("valid", n_samples=59_048, halves=False), 1, "expected at least one chunk")
    refused(given("train", n_songs=4), 2, "odd/source: expected at least 4 examples for one batch")
    refused(given("train", n_songs=4), 2, "2 songs; a batch size of 2 would work")
    refused(given("train", halves=False), 2, "of the source half, got a set without halves;")
    refused(
        given("pretrain-valid", n_songs=1, halves=False),
        2,
        "at least two songs to tell apart, got 1",
    )
    recordings = given("valid", snrs_db=(), halves=False)
    refused(recordings, 1, "odd: expected clean and noisy members, got real recordings; give")
    refused(given("train", snrs_db=()), 2, "set: expected clean and noisy members, got real record")
    untagged = {f"song-{n:02d}": [] for n in range(8)}
    refused(given("valid", tags=untagged, halves=False), 1, "odd: expected a tag that some of 8")
    with monkeypatch.context() as patch:
        patch.setattr("tiny_sets.TAGS", ())
        no_tags = given("train", tags=untagged)
    refused(no_tags, 1, "set: expected a training set with tags, got none; build it with --tags")
    short = "expected at least 59,049 samples, got 50,000 (so have 4 of 4 examples); build the set"
    refused(given("train", n_samples=50_000), 1, short)
    assert not (tmp_path / "run").exists()


def test_damaged_sets(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    train = tmp_path / "train"
    shutil.copytree(suite / "train", train)
    shared = (
        "dat", "--shards", suite, "--set", f"train={train}", "--encoder", dat_run,
        "--out", tmp_path / "run", *DAT,
    )  # fmt: skip
    shard = train / "shard-000000.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:-512])
    refused(shared, 1, "shard-000000.tar: expected", "the tar is cut short")
    shard.write_bytes(data[:1_000] + bytes(200_000) + data[201_000:])
    refused(shared, 1, "shard-000000.tar: train-")
    shard.write_bytes(data)
    run_well(*shared)


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


def test_wrong_checkpoints(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    shared = ("--shards", suite, "--out", tmp_path / "x")
    for arguments, status, text in (
        (
            ("baseline", *shared, *COMPARISON, "--encoder", dat_run / "domain"), 2,
            "expected a checkpoint of stage 1, got one of domain; name a run that trained its own",
        ),
        (
            ("dat", *shared, *DAT, "--stage", 3, "--init", dat_run / "encoder"), 2,
            "expected a checkpoint of stage 2, got one of encoder",
        ),
        (
            ("baseline", *shared, *COMPARISON, "--width", 0.06, "--encoder", dat_run), 2,
            "expected an encoder as this run's, got another: width: has 0.03, asked for 0.06",
        ),
        (
            ("baseline", *shared, *COMPARISON, "--input-level", "asis", "--encoder", dat_run), 2,
            'input_level: has "rms", asked for "asis"; give the same options to both',
        ),
        (
            ("dat", *shared, *DAT, "--stage", 3, "--init", dat_run, "--classifier-hidden", 7), 1,
            "domain.layers.0.weight: expected shape (7, 15), got (100, 15)",
        ),
        (
            ("tag", "a.wav", "--checkpoint", dat_run / "encoder"), 1,
            "expected a tagger, got a checkpoint of stage encoder; name the run's own folder",
        ),
    ):  # fmt: skip
        refused(arguments, status, text)


def test_an_unfinished_stage_1_is_not_taken_by_accident(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(dat_run / "encoder", half / "encoder")
    state = half / "encoder" / "checkpoints" / "last" / "state.json"
    record = json.loads(state.read_text())
    record["progress"] |= {"step": 3, "done": False}
    del record["sha256"]
    state.write_text(json.dumps(record))
    shared = ("baseline", "--shards", suite, "--out", tmp_path / "x", *COMPARISON)
    refused((*shared, "--encoder", half), 2, "expected a finished stage 1, got one at step 3")
    run_well(*shared, "--encoder", half / "encoder" / "checkpoints" / "best")


def test_a_damaged_checkpoint(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dat"
    shutil.copytree(dat_run, copy)
    path = copy / "checkpoints" / "best" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    refused(("tag", "a.wav", "--checkpoint", copy), 1, "it was changed after it was written")
    last = copy / "checkpoints" / "last" / "weights.safetensors"
    last.write_bytes(b"")
    resumed = ("dat", "--shards", suite, "--out", copy, *DAT)
    refused(resumed, 1, "it was changed after it was written")
    refused(resumed, 1, f"remove {copy / 'checkpoints'} and run the same command again: that stage")
    shutil.rmtree(copy / "checkpoints")
    run_well(*resumed)
    assert_same_weights(copy / "checkpoints/last", dat_run / "checkpoints/last")


def test_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch, suite: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("as a bug would")

    monkeypatch.setattr(trainer.cli.methods, "make_config", broken)
    arguments = ("baseline", "--shards", suite, "--out", "x")
    refused(
        arguments, 1,
        "train: unexpected ZeroDivisionError: as a bug would; 'train --debug …' shows where",
    )  # fmt: skip
    result = run("--debug", *arguments)
    assert isinstance(result.exception, ZeroDivisionError)


def test_interrupting_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, suite: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.cli.methods, "make_config", interrupted)
    result = run("baseline", "--shards", suite, "--out", "x")
    assert result.exit_code == 130
    assert "train: interrupted; run the same command again to go on" in result.output


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


# ---- --config -------------------------------------------------------------------------


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


# ---- --select -------------------------------------------------------------------------


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


def test_versions_and_names() -> None:
    assert run("--version").output.startswith("train, version ")
    assert SAMPLES > 0 and set(METHODS) <= set(_COMMANDS)


def test_a_stage_of_a_method_that_has_none(tmp_path: Path) -> None:
    config = preset_config("thesis", "baseline")
    with (
        open_compute(SystemConfig(device="cpu", threads=1)) as compute,
        pytest.raises(UsageError, match="--stage: expected with 'train dat' only, got baseline"),
    ):
        train_run(config, Roles({}), tmp_path / "run", compute, only_stage=2)
    assert not (tmp_path / "run").exists()
