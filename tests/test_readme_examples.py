"""The training commands of the README follow from each other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_what_is_compared_was_trained_and_evaluated_before() -> None:
    text = README.read_text(encoding="utf-8")
    (block,) = re.findall(r"^Then train:\n\n```\n(.+?)```", text, re.MULTILINE | re.DOTALL)
    shell = f'set -e\ntrain() {{ echo "$*"; }}\n{block}'
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    trained, evaluated, compared = set[str](), set[str](), set[str]()
    for line in done.stdout.splitlines():
        run_of = dict(re.findall(r"--(out|encoder|checkpoint) (runs/\w+)", line))
        assert {run_of.get("encoder"), run_of.get("checkpoint")} - {None} <= trained, line
        trained |= {run_of["out"]} if "out" in run_of else set()
        if line.startswith("evaluate "):
            evaluated.add(run_of["checkpoint"])
        if line.startswith("compare "):
            compared |= set(line.split()[1:])
            assert compared <= evaluated, line
    assert compared == trained
