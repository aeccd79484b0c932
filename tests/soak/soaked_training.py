"""The run of training that a soak disturbs, and what must hold of it whatever happened."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trainer"))
from soaking import DEADLINE_S, expect, expect_message
from tiny_ranks import start_ranks
from tiny_suite import DAT, start

OFTEN = "import trainer.keeper as k; k.SAVE_EVERY_S = 0.3"
OPTIONS = (
    *(option for option in DAT if option != "--no-augment"), "--workers", "1", "--accumulate", "2",
    "--batch-size", "1", "--encoder-batch-size", "2", "--classifier-batch-size", "1",
    "--encoder-epochs", "12", "--classifier-epochs", "12", "--epochs", "12",
    "--rank-timeout-s", "120",  # of a rank that meets no other one; below DEADLINE_S
)  # fmt: skip
STAGES = ("", "encoder", "domain")


@dataclass
class Soak:
    """One soak: its folders, what undisturbed runs end with, and what happened so far."""

    root: Path
    rng: random.Random
    expected: dict[int, dict[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    run_s: dict[int, float] = field(default_factory=dict)
    n_ranks: int = 1
    disk: Path | None = None

    @property
    def out(self) -> Path:
        return (self.disk or self.root) / "run"

    def start(self, *more: object) -> list[subprocess.Popen[str]]:
        """Start the run on all ranks."""
        self.counts["runs started"] += 1
        command = ("dat", "--shards", self.root / "suite", "--out", self.out, *OPTIONS, *more)
        if self.n_ranks == 1:
            return [start(command, OFTEN)]
        return start_ranks(command, OFTEN, self.n_ranks)

    def started_and_waited(self, *more: object) -> tuple[int, str]:
        """Run to whatever end; return status and output of the rank that says most."""
        outputs = ended(self.start(*more))
        return max(outputs, key=lambda one: (one[0], "lost one" not in one[1]))

    def finish(self) -> None:
        """Give the command again, which must end well, and compare the weights."""
        begin = time.monotonic()
        for status, said in ended(self.start()):
            expect(status == 0, f"a run that nothing disturbs failed: {said}")
        self.run_s.setdefault(self.n_ranks, time.monotonic() - begin)
        self.compare()

    def compare(self) -> None:
        found = weight_hashes(self.out)
        expected = self.expected.setdefault(self.n_ranks, found)
        other = sorted(name for name in expected if found.get(name) != expected[name])
        expect(not other, f"other weights than those of an undisturbed run: {other}")
        self.counts["runs compared"] += 1

    def failed_well(self, status: int, said: str, *words: str) -> None:
        expect_message(status, said, *words)
        self.counts["failures with a message"] += 1

    def under_way(self) -> None:
        """Leave a run that was killed somewhere."""
        ranks = self.start()
        time.sleep(self.rng.uniform(0.4, 1.0) * self.run_s[self.n_ranks])
        for rank in ranks:
            rank.kill()
        ended(ranks)


def ended(ranks: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Wait for all ranks, which must end by themselves; return status and output of each."""
    try:
        outputs = [rank.communicate(timeout=DEADLINE_S)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    return [(rank.returncode, said) for rank, said in zip(ranks, outputs, strict=True)]


def weight_hashes(run: Path) -> dict[str, str]:
    """Hash the weights of every stage, last and best."""
    paths = (run / stage / "checkpoints" / n for stage in STAGES for n in ("last", "best"))
    files = [path / "weights.safetensors" for path in paths]
    return {
        str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in files
        if f.is_file()
    }
