"""Run ``prep`` in this process, as a shell would: arguments in, exit status and two streams out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

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
