"""Run ``prep`` in this process, as a shell would: arguments in, exit status and two streams out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from tiny_corpora import Corpora

from pipeline.cli import prep


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        """The JSON on standard output; fails where anything else is there."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The last line on standard error."""
        return self.err.strip().splitlines()[-1]


def run_prep(*arguments: object) -> Ran:
    """Run a command; exceptions that reach the user as a traceback are raised."""
    result = CliRunner().invoke(
        prep, [str(a) for a in arguments], prog_name="prep", catch_exceptions=False
    )
    return Ran(result.exit_code, result.stdout, result.stderr)


def scan_of(root: Path) -> Ran:
    """Scan a folder of music."""
    return run_prep("scan", "--corpus", "folder", "--root", root, "--jobs", 1, "--json")


def plan_corpora(corpora: Corpora, *arguments: object) -> Ran:
    """Plan a set of the tiny corpora."""
    sources = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")
    return run_prep("plan", *sources, "--jobs", 1, "--json", *arguments)


def config_of(ran: Ran) -> dict[str, Any]:
    """Return the identity of the one set that was planned."""
    assert ran.status == 0, ran.err
    (found,) = ran.record["sets"]
    config: dict[str, Any] = found["config"]
    return config
