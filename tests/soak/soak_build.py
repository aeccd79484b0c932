"""Soak of the build: kill -9, full disks, damaged sources and damaged sets, again and again.

    python tests/soak/soak_build.py [--minutes 15] [--seed 0] [--json FILE]

Stops by itself. Every round disturbs one build and lets it go on; the set must end with the bytes
of an undisturbed build, every failure must be one line with exit status 1, nothing half-written may
look whole. Between rounds the same set is built in this process, whose memory and that of its two
workers is watched. Ends with status 1 at the first round that is not as it must be.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))
from soaking import DEADLINE_S, expect, expect_message, resident_mb, run_rounds, write_report
from tiny_corpora import burst, chord, generator, set_hashes, write_audio

from pipeline.config import RunOptions, SetConfig
from pipeline.planned import Plan
from pipeline.progress import SilentReporter
from pipeline.sources import Sources
from pipeline.stages.build import build_set
from pipeline.stages.prepare import plan_single
from pipeline.tags import TagFilter

PREP = Path(sys.executable).parent / "prep"
N_CLIPS = 40
PER_SHARD = 2


@dataclass
class Soak:
    """One soak: its folders, what an undisturbed build gives, and what happened so far."""

    root: Path
    rng: random.Random
    expected: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    build_s: float = 5.0

    @property
    def out(self) -> Path:
        return self.root / "set"

    def command(self, name: str, *more: object) -> list[str]:
        sources = ["--music", f"folder={self.root}/music", "--noise", f"folder={self.root}/noise"]
        fixed = ["--noises", "2", "--examples-per-shard", str(PER_SHARD)]
        if name == "verify":
            return [str(PREP), name, str(self.out)]
        return [str(PREP), name, *sources, *fixed, "--out", str(self.out), *map(str, more)]

    def start(self, *more: object, file_limit: int | None = None) -> subprocess.Popen[str]:
        """Start a build in a process group of its own, with a limit on the size of its files."""

        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        jobs = self.rng.choice((1, 2))
        self.counts["builds started"] += 1
        return subprocess.Popen(
            self.command("build-shards", "--jobs", jobs, *more), preexec_fn=limit,
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finish(self) -> None:
        """Run the build to its end and compare the set."""
        begin = time.monotonic()
        _, said = self.start_and_wait()
        self.build_s = 0.8 * self.build_s + 0.2 * (time.monotonic() - begin)
        expect(self.status == 0, f"a build that nothing disturbs failed: {said}")
        self.compare()

    def start_and_wait(self, **options: object) -> tuple[int, str]:
        process = self.start(**options)  # type: ignore[arg-type]
        _, said = process.communicate(timeout=DEADLINE_S)
        self.status = process.returncode
        return self.status, said

    def compare(self) -> None:
        found = set_hashes(self.out)
        other = sorted(found.items() ^ self.expected.items())
        expect(not other, f"other bytes: {other[:3]}")
        self.counts["sets compared"] += 1

    def failed_well(self, status: int, said: str, *words: str) -> None:
        """Expect one line that says what is wrong, and what looks whole to be whole."""
        expect_message(status, said, *words)
        self.counts["failures with a message"] += 1
        self.nothing_half()

    def nothing_half(self) -> None:
        if self.out.is_dir():
            seen = set_hashes(self.out)
            whole = {name: sha for name, sha in seen.items() if not name.startswith(".")}
            # A tar without its sidecar is not done, but a rename made it: its bytes are whole.
            expect(whole.items() <= self.expected.items(), "a file that looks whole is not")


def kills(soak: Soak) -> None:
    """Kill -9 the group, the parent or one worker at a random moment, up to four times."""
    for _ in range(soak.rng.randint(1, 4)):
        process = soak.start()
        time.sleep(soak.rng.uniform(0.2, 1.0) * soak.build_s)
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            whom = soak.rng.choice(("group", "parent", "worker"))
            if whom == "group":
                os.killpg(process.pid, signal.SIGKILL)
            elif whom == "parent" or not children:
                os.kill(process.pid, signal.SIGKILL)
            else:
                os.kill(soak.rng.choice(children).pid, signal.SIGKILL)
            soak.counts[f"kill -9 of the {whom}"] += 1
        _, said = process.communicate(timeout=DEADLINE_S)
        expect(process.returncode in (0, 1, -9), f"status {process.returncode}: {said}")
        if process.returncode == 1:
            soak.failed_well(1, said, "was lost", "another build", "expected no other build")
        soak.nothing_half()


def full_disk(soak: Soak) -> None:
    """No file may grow over a limit, as on a full disk or over a quota."""
    largest = max(path.stat().st_size for path in soak.root.glob("reference/*.tar"))
    status, said = soak.start_and_wait(file_limit=soak.rng.randint(2_000, largest - 1))
    soak.failed_well(status, said, "cannot be written", "make room", "was lost")
    soak.counts["disk full"] += 1


def damaged_source(soak: Soak) -> None:
    """Bytes of a source change between scan and build, its size and time do not."""
    path = soak.rng.choice(sorted((soak.root / "music").glob("*.wav")))
    original, status = path.read_bytes(), path.stat()
    data = bytearray(original)
    for _ in range(8):
        data[soak.rng.randrange(200, len(data))] ^= soak.rng.randrange(1, 256)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    code, said = soak.start_and_wait()
    path.write_bytes(original)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    soak.failed_well(code, said, "the file changed since it was scanned")
    soak.counts["damaged sources"] += 1


def damaged_set(soak: Soak) -> None:
    """A byte of a finished set changes, or a tar is cut: verify names it, a new build mends it."""
    shutil.copytree(soak.root / "reference", soak.out)
    path = soak.rng.choice(sorted(soak.out.glob("shard-*.tar")))
    if soak.rng.random() < 0.5:
        os.truncate(path, soak.rng.randrange(path.stat().st_size))
    else:
        with path.open("r+b") as file:
            file.seek(soak.rng.randrange(path.stat().st_size))
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x55]))
    command = soak.command("verify")
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    expect(done.returncode == 1 and path.name in done.stdout + done.stderr, f"verify: {done}")
    path.unlink()
    soak.counts["damaged sets"] += 1


ROUNDS: tuple[Callable[[Soak], None], ...] = (kills, full_disk, damaged_source, damaged_set)


def write_sources(root: Path) -> None:
    """Write music and noise of about 3 s."""
    for number in range(N_CLIPS):
        rng = generator("soak", number)
        write_audio(root / f"music/m{number:02d}.wav", chord(rng, 3.0 + number % 9 / 10, 22_050))
        write_audio(root / f"noise/n{number:02d}.wav", burst(rng, 4.0, 16_000), 16_000)


def make_plan(root: Path) -> Plan:
    """Plan what the rounds build, in this process."""
    sources = Sources({"folder": str(root / "music")}, {"folder": str(root / "noise")})
    config = SetConfig(noises=2, examples_per_shard=PER_SHARD)
    return plan_single(config, sources, TagFilter(), RunOptions(jobs=2), SilentReporter())


@click.command()
@click.option("--minutes", default=15.0, show_default=True, help="How long.")
@click.option("--seed", default=0, show_default=True, help="Seed of the disturbances.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the report here.")
def main(minutes: float, seed: int, json_file: Path | None) -> None:
    """Disturb builds for some minutes; see the module's text."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        root = Path(folder)
        os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
        write_sources(root)
        plan = make_plan(root)
        roots = {role: {"folder": str(root / role)} for role in ("music", "noise")}
        build_set(plan, str(root / "reference"), roots, run=RunOptions(jobs=2))
        soak = Soak(root, random.Random(seed), set_hashes(root / "reference"))

        def one_round(number: int) -> tuple[str, float]:
            disturb = ROUNDS[number % len(ROUNDS)]
            disturb(soak)
            soak.finish()
            shutil.rmtree(soak.out)
            build_set(plan, str(soak.out), roots, run=RunOptions(jobs=2))
            soak.compare()
            shutil.rmtree(soak.out)
            return disturb.__name__, resident_mb()

        report = run_rounds(minutes, one_round)
    write_report({**report, **dict(sorted(soak.counts.items()))}, json_file)


if __name__ == "__main__":
    main()
