"""``--config FILE``: options of prep from TOML."""

from __future__ import annotations

from pathlib import Path

import pytest
from prep_runner import config_of, plan_corpora, run_prep
from tiny_corpora import Corpora


def write_config(folder: Path, text: str) -> Path:
    path = folder / "prep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_config_file_gives_options_by_their_names(corpora: Corpora, tmp_path: Path) -> None:
    path = write_config(
        tmp_path,
        f"""
        music = "folder={corpora.music}"
        noise = ["folder={corpora.noise}"]
        snr = [10, -2.5]
        noises = 2
        examples-per-shard = 5
        excerpt_s = 2.7
        keep-dc = true
        drop-tag = ["slow"]
        seed = 3
        jobs = 1
        json = true
        """,
    )
    config = config_of(run_prep("plan", "--config", path))
    assert config["snrs_db"] == [10, -2.5] and config["noises"] == 2 and config["keep_dc"] is True
    assert (config["examples_per_shard"], config["excerpt_s"], config["seed"]) == (5, "2.7", 3)
    assert config["tag_options"]["drop"] == ["slow"]


def test_the_command_line_wins_over_the_config_file(corpora: Corpora, tmp_path: Path) -> None:
    path = write_config(tmp_path, "seed = 3\ncodec = 'wav'\nsnr = ['0']")
    config = config_of(plan_corpora(corpora, "--config", path, "--seed", 4, "--snr", 5))
    assert (config["seed"], config["codec"], config["snrs_db"]) == (4, "wav", [5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sead = 3", "expected names of options as --help shows them, got 'sead'"),
        ("[build]\nseed = 3", "expected names of options as --help shows them, got 'build'"),
        ("config = 'x'", "expected names of options as --help shows them, got 'config'"),
        ("seed = {a = 1}", "seed: expected a value, got {'a': 1}"),
        ("seed = true", "seed: expected a value, got True"),
        ("keep-dc = 'yes'", "keep-dc: expected true or false, got 'yes'"),
        ("seed = ", "expected a TOML file: Invalid value"),
    ],
)
def test_a_config_file_that_is_wrong(
    corpora: Corpora, tmp_path: Path, text: str, message: str
) -> None:
    path = write_config(tmp_path, text)
    ran = plan_corpora(corpora, "--config", path)
    assert (ran.status, ran.out) == (2, "")
    assert ran.error.startswith(f"prep: --config {path}: {message}"), ran.err


def test_values_of_a_config_file_are_checked_like_options(corpora: Corpora, tmp_path: Path) -> None:
    ran = plan_corpora(corpora, "--config", write_config(tmp_path, "codec = 'mp3'"))
    assert ran.status == 2 and "'mp3' is not one of 'flac', 'wav'" in ran.err
    ran = plan_corpora(
        corpora, "--config", write_config(tmp_path, "suite = 'thesis'\nsplit = 'test'")
    )
    assert ran.status == 2 and "--split: fixed by --suite" in ran.err


def test_a_config_file_that_is_not_there(corpora: Corpora, tmp_path: Path) -> None:
    ran = plan_corpora(corpora, "--config", tmp_path / "no.toml")
    assert ran.status == 2 and "no.toml: expected a TOML file: [Errno 2]" in ran.error
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    ran = plan_corpora(corpora, "--config", tmp_path / "latin.toml")
    assert ran.status == 2 and "latin.toml: expected a TOML file: 'utf-8' codec" in ran.error


@pytest.mark.parametrize("name", ["seed", "limit", "examples-per-shard"])
def test_a_fraction_is_no_whole_number(corpora: Corpora, tmp_path: Path, name: str) -> None:
    ran = plan_corpora(corpora, "--config", write_config(tmp_path, f"{name} = 1.7"))
    assert ran.status == 2 and "'1.7' is not a valid int" in ran.err


def test_a_byte_order_mark_is_passed_over(corpora: Corpora, tmp_path: Path) -> None:
    path = write_config(tmp_path, "\ufeffseed = 3\nexcerpt-s = 'whole'")
    assert config_of(plan_corpora(corpora, "--config", path))["seed"] == 3
