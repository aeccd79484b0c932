"""docs/evaluation-sets.md, run: every command, by two teams, with the exit status it states."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_official import id3, write_official

from pipeline.cli import prep
from trainer.cli import train

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluation-sets.md"


def commands() -> list[tuple[str, str]]:
    """Return heading and command of every command in the document."""
    found, heading, inside = [], "", False
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("```"):
            inside = line == "```sh"
        elif inside:
            found.append((heading, line))
    return found


def invoke(command: str) -> str:
    words = shlex.split(command, comments=True)
    expected = int(match[1]) if (match := re.search(r"# exit (\d)", command)) else 0
    group = {"prep": prep, "train": train}[words[0]]
    done = CliRunner().invoke(group, words[1:], prog_name=words[0])
    assert done.exit_code == expected, (command, done.output)
    return done.output


def make_team_b(team_a: Path, team_b: Path) -> None:
    """Copy the corpora with faults; mail the recipe."""
    shutil.copytree(team_a / "mtat", team_b / "mtat")
    shutil.copytree(team_a / "musan", team_b / "musan")
    shutil.copytree(team_a / "mtat-musan.v1", team_b / "mtat-musan.v1")
    retagged, cut, gone, *_ = sorted((team_b / "mtat").glob("[def]/*.mp3"))
    retagged.write_bytes(id3("another title") + retagged.read_bytes())
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    gone.unlink()


def test_every_command_of_the_document_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team_a, team_b = write_official(tmp_path / "a"), tmp_path / "b"
    ran = set()
    for heading, command in commands():
        if heading == "Team B" and not team_b.exists():
            make_team_b(team_a, team_b)
        monkeypatch.chdir(team_a if heading == "Team A" else team_b)
        if command.startswith("train "):
            continue  # the next test
        if "common-set" in command:
            shutil.copytree(team_a / "set", "common-set")
        if " KEY " in command:
            key = json.loads((team_b / "common.json").read_text())["keys"][0]
            command = command.replace(" KEY ", f" {key} ")
        invoke(command)
        ran.add(command.split()[1])
    assert ran == {"plan", "build-shards", "freeze", "verify", "thaw", "subset", "diff", "explain"}

    monkeypatch.chdir(team_b)
    with Path("verdicts.csv").open(newline="") as file:
        verdicts = [(row["verdict"], row["source"]) for row in csv.DictReader(file)]
    assert sorted(set(verdicts)) == [("differs", "other"), ("identical", "retagged"),
                                     ("identical", "same"), ("missing", "missing")]  # fmt: skip
    assert len(verdicts) == 6 and verdicts.count(("identical", "same")) == 3
    assert len(list(Path("wavs").glob("*.wav"))) == 6
    files = {path.name for path in (team_a / "mtat-musan.v1").iterdir()}
    table = re.findall(r"^\| `([^`]+)` \| ", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert files == {name for name in table if "." in name}


def test_the_options_of_train_in_the_document_exist() -> None:
    lines = [command for _, command in commands() if command.startswith("train ")]
    assert lines
    for line in lines:
        words = shlex.split(line)
        done = CliRunner().invoke(train, [words[1], "--help"])
        assert done.exit_code == 0
        for word in words:
            assert not word.startswith("--") or word in done.output
