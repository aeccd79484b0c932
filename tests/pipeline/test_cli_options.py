"""Option values: SNRs, numbers of noises, config files, what does not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from prep_runner import config_of, plan_corpora, run_prep
from tiny_corpora import Corpora

from manifests.errors import UsageError
from pipeline.cli.options import parse_noise_counts, parse_snrs


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10"], (10.0,)),
        (["-10"], (-10.0,)),
        (["10", "5", "0", "-5"], (10.0, 5.0, 0.0, -5.0)),
        (["10,-10"], (10.0, -10.0)),
        (["10:-10:-5"], (10.0, 5.0, 0.0, -5.0, -10.0)),
        (["-10:10:10"], (-10.0, 0.0, 10.0)),
        (["0:1:0.25"], (0.0, 0.25, 0.5, 0.75, 1.0)),
        (["0:0.3:0.1"], (0.0, 0.1, 0.2, 0.3)),
        (["5:5:1"], (5.0,)),
        (["10:0:-4"], (10.0, 6.0, 2.0)),
        (["20", "10:0:-5"], (20.0, 10.0, 5.0, 0.0)),
        (["2.5"], (2.5,)),
        (["1e1"], (10.0,)),
        (["-0"], (0.0,)),
    ],
)
def test_snrs(values: list[str], expected: tuple[float, ...]) -> None:
    found = parse_snrs(values)
    assert found == expected and not any(str(snr) == "-0.0" for snr in found)


@pytest.mark.parametrize(
    "value",
    ["", "loud", "10dB", "1:2", "1:2:3:4", "10:-10:5", "0:10:0", "10::5", "nan", "inf", "0:inf:5",
     "nan:10:1", "0:1000:1", "10;5", "0:1:1e-9"],
)  # fmt: skip
def test_what_is_no_snr(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_snrs([value])
    expected = "--snr: expected dB or START:STOP:STEP, e.g. 10:-10:-5, got"
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", (1,)), ("4", (4,)), ("1,2,4", (1, 2, 4)), ("4,1", (4, 1))]
)
def test_noise_counts(value: str, expected: tuple[int, ...]) -> None:
    assert parse_noise_counts(value) == expected


@pytest.mark.parametrize("value", ["", "3", "1,3", "two", "1,1", "1,,2", "-1", "1.0"])
def test_what_is_no_noise_count(value: str) -> None:
    with pytest.raises(UsageError, match="--noises: expected 1, 2 or 4, or a list such as 1,2,4"):
        parse_noise_counts(value)


def test_snrs_as_they_are_typed(corpora: Corpora) -> None:
    for arguments in (("--snr", "10:-10:-10"), ("--snr", "10", "--snr", "0", "--snr", "-10"),
                      ("--snr=10", "--snr=0", "--snr=-10")):  # fmt: skip
        assert config_of(plan_corpora(corpora, *arguments))["snrs_db"] == [10, 0, -10]


def test_noise_split_follows_the_split(corpora: Corpora) -> None:
    config = config_of(plan_corpora(corpora, "--split", "test"))
    assert (config["split"], config["noise_split"]) == ("test", "test")
    config = config_of(plan_corpora(corpora, "--split", "test", "--noise-split", "train"))
    assert config["noise_split"] == "train"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--noises", "1,2"), "--noises: expected one of 1, 2, 4 without --suite"),
        (("--noises", "3"), "--noises: expected 1, 2 or 4, or a list such as 1,2,4, got 3"),
        (("--snr", "a"), "--snr: expected dB or START:STOP:STEP"),
        (("--snr", "5", "--snr", "5"), "--snr: expected different values"),
        (("--snr", "70"), "--snr: expected -60 to 60 dB"),
        (("--snr", "0.001"), "--snr: expected at most two decimals"),
        (("--excerpt-s", "1"), "--excerpt-s: expected auto, whole or at least 2.678 seconds"),
        (("--min-duration-s", "nan"), "--min-duration-s: expected seconds above 0, got nan"),
        (("--min-duration-s", "inf"), "--min-duration-s: expected seconds above 0, got inf"),
        (("--min-noise-s", "nan"), "--min-noise-s: expected seconds above 0, got nan"),
        (("--max-reject-percent", "nan"), "--max-reject-percent: expected 0 to 100, got nan"),
        (("--band-limit", "8khz"), "--band-limit: expected auto, off or 1000 to 11025 Hz"),
        (("--scheduler", "tcp://x:1"), "--scheduler tcp://x:1: expected --engine dask beside it"),
        (("--suite", "thesis", "--split", "test"), "--split: fixed by --suite; leave it out"),
        (("--suite", "thesis", "--snr", "0", "--name", "x"), "--name, --snr: fixed by --suite"),
        (("--suite", "thesis"), "--music folder: no set of --suite thesis uses it; leave it out"),
        (("--mtat-untagged", "drop"), "--mtat-untagged: of no corpus that is read (folder); leave"),
        (("--noise", "none"), "--noise none: expected no other --noise beside it"),
        (("--noise", "folder=/x"), "--noise: folder is given twice"),
        (("--music", "folder"), "--music: expected NAME=DIR, e.g. mtat=/data/mtat, got 'folder'"),
        (("--music", "mtta=/x"), "mtta: expected a corpus, one of mtat, mtg-jamendo, audioset,"),
        (("--music", "musan=/x"), "--music musan: expected a music corpus; musan is noise"),
        (("--noise", "mtat=/x"), "--noise mtat: expected a noise corpus; mtat is music"),
        (("--noise", "musan=/does/not/exist"), "--noise musan=/does/not/exist: no such folder"),
        (("--metadata", "mtat=/x"), "--metadata mtat: expected a corpus of --music or --noise"),
        (("--tags", "top50"), "--tags top50: expected a corpus that has it (mtat, mtg-jamendo)"),
        (("--tags", "no-such-file"), "--tags no-such-file: expected top50, thesis, all or a file"),
        (("--drop-tag", "guitr"), "--drop-tag guitr: expected a tag of the corpus, got none; near"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_exit_status_2(
    corpora: Corpora, arguments: tuple[str, ...], message: str
) -> None:
    ran = plan_corpora(corpora, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.error.startswith(f"prep: {message}"), ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--snr", "5", "--noises", "4"), "--noises, --snr: nothing is mixed with --noise none"),
        (("--noise-split", "test"), "--noise-split: nothing is mixed with --noise none"),
    ],
)
def test_options_of_noise_without_noise(
    corpora: Corpora, arguments: tuple[str, ...], message: str
) -> None:
    ran = run_prep("plan", "--music", f"folder={corpora.music}", "--noise", "none", *arguments)
    assert ran.status == 2 and ran.error.startswith(f"prep: {message}")


def test_a_corpus_that_no_set_of_a_suite_uses(corpora: Corpora, mtat: Path) -> None:
    """What only sets that are left out would use is not refused."""
    given = ("plan", "--suite", "thesis", "--music", f"mtat={mtat}", "--noise")
    ran = run_prep(*given, f"folder={corpora.noise}")
    assert ran.status == 2 and ran.error == (
        "prep: --noise folder: no set of --suite thesis uses it; leave it out, or build a single "
        "set (its noise: audioset, musan)"
    )
    ran = run_prep(*given, f"musan={corpora.musan}", "--music", f"mtg-jamendo={corpora.music}",
                   "--jobs", 1, "--min-duration-s", 1)  # fmt: skip
    assert ran.status == 0 and "left out pretrain-train: needs --noise audioset" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [("--jobs", "0"), ("--limit", "0"), ("--seed", "-1"), ("--codec", "mp3"), ("--split", "dev"),
     ("--engine", "ray"), ("--suite", "none"), ("--max-reject-percent", "101"), ("--nonsense",),
     ("--resampler", "fast"), ("--examples-per-shard", "many")],
)  # fmt: skip
def test_values_that_click_refuses(corpora: Corpora, arguments: tuple[str, ...]) -> None:
    ran = plan_corpora(corpora, *arguments)
    assert ran.status == 2 and arguments[0] in ran.err and "Traceback" not in ran.err


def test_home_folders_are_expanded_where_shells_do_not(
    corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "music").symlink_to(corpora.music)
    (tmp_path / "noise").symlink_to(corpora.noise)
    (tmp_path / "tags.txt").write_text("piano\n")
    (tmp_path / "table.csv").write_text((corpora.music / "metadata.csv").read_text())
    path = tmp_path / "prep.toml"
    path.write_text(
        "music = 'folder=~/music'\nnoise = 'folder=~/noise'\ntags = '~/tags.txt'\n"
        "folder-csv = '~/table.csv'\n"
    )
    # the table is for music; the noise folder's files are not in it
    ran = run_prep("plan", "--config", "~/prep.toml", "--noise", "musan=~/noise", "--json")
    assert ran.status == 1 and "musan: expected files such as noise/free-sound" in ran.error
    text = path.read_text().replace("folder-csv = '~/table.csv'\n", "")
    path.write_text(text)
    found = run_prep("plan", "--config", "~/prep.toml", "--jobs", 1, "--json")
    assert found.record["sets"][0]["tags"]["names"] == ["piano"]
