"""Soak of training: kill -9, hung ranks, full disks, damaged shards and checkpoints, for long.

    python tests/soak/soak_train.py [--minutes 15] [--seed 0] [--json FILE]

Stops by itself. Every round disturbs one run of ``train dat`` (all three stages, gradient
accumulation; one process or two ranks, with decoding processes) and gives the same command again;
the weights must be those of an undisturbed run, bit for bit, and every failure one line with exit
status 1. Beside the rounds a trainer that nobody disturbs streams epoch after epoch, and its memory
and that of its decoding process is watched. Ends with status 1 at the first round that is not as it
must be.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trainer"))
from soaking import DEADLINE_S, expect, expect_message, resident_mb, run_rounds, write_report
from tiny_ranks import start_ranks
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, RUNGS_DB, SAMPLES, start, write_suite

from trainer.runs.metrics_log import read_records

OFTEN = "import trainer.keeper as k; k.SAVE_EVERY_S = 0.3"
OPTIONS = (
    *(option for option in DAT if option != "--no-augment"), "--workers", "1", "--accumulate", "2",
    "--batch-size", "1", "--encoder-batch-size", "2", "--classifier-batch-size", "1",
    "--encoder-epochs", "12", "--classifier-epochs", "12", "--epochs", "12",
    "--rank-timeout-s", "120",  # of a rank that meets no other one; below DEADLINE_S
)  # fmt: skip
STAGES = ("", "encoder", "domain")
READ = ("pretrain-train", "pretrain-valid", "train", "valid")
HANG_S = 30.0
SMALL_DISK_KB = (48, 480)
LOST = ("lost one", "gave none")


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


def decoders(rank: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the decoding processes of a rank: what its fork server made."""
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(rank.pid).children()
        servers = [child for child in below if "forkserver" in " ".join(child.cmdline())]
        return [worker for server in servers for worker in server.children()]
    return []


def kills(soak: Soak) -> None:
    """Kill -9 one rank, all of them or a decoding process at a random moment, up to three times."""
    for _ in range(soak.rng.randint(1, 3)):
        ranks = soak.start()
        time.sleep(soak.rng.uniform(0.2, 1.0) * soak.run_s[soak.n_ranks])
        below = [p for rank in ranks for p in psutil.Process(rank.pid).children(recursive=True)]
        whom = soak.rng.choice(("rank", "all ranks", "decoding process"))
        victims = [soak.rng.choice(ranks)] if whom == "rank" else ranks
        if whom == "decoding process":
            found = decoders(soak.rng.choice(ranks))
            victims = [soak.rng.choice(found)] if found else []  # type: ignore[list-item]
        for victim in victims:
            victim.kill()
        soak.counts[f"kill -9 of {whom}"] += bool(victims)
        for status, said in ended(ranks):
            expect(status in (0, 1, -9), f"status {status}: {said}")
            if status == 1:
                soak.failed_well(1, said, *LOST)
        left = psutil.wait_procs(below, timeout=60)[1]
        expect(not left, f"processes that outlive their run: {left}")


def hang(soak: Soak) -> None:
    """Stop one rank of two: the other one ends by itself, and so does this one when woken."""
    soak.n_ranks = 2
    ranks = soak.start("--rank-timeout-s", HANG_S)
    time.sleep(soak.rng.uniform(0.4, 0.9) * soak.run_s[2])
    victim = soak.rng.choice((0, 1))
    ranks[victim].send_signal(signal.SIGSTOP)
    said = ranks[1 - victim].communicate(timeout=DEADLINE_S)[0]
    status = ranks[1 - victim].returncode
    ranks[victim].send_signal(signal.SIGCONT)
    ended([ranks[victim]])
    if status:  # else the run was over
        soak.failed_well(status, said, *LOST)
        soak.counts["hung ranks"] += 1


def file_limit(soak: Soak) -> None:
    """No file may grow over a limit, as on a full disk or over a quota."""
    largest = max(p.stat().st_size for p in (soak.root / "reference").rglob("*.safetensors"))
    limit = soak.rng.randint(1_000, largest - 1)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        # what decoding processes share with the trainer counts as files too
        ranks = soak.start("--workers", "0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    status, said = ended(ranks)[0]
    soak.failed_well(status, said, "cannot be written")
    soak.counts["file size limits"] += 1


def small_disk(soak: Soak) -> None:
    """The run's folder is a file system of its own, which is full after a while, then grows."""
    disk = soak.root / "disk"
    disk.mkdir(exist_ok=True)
    if not mounted(disk, f"size={soak.rng.randint(*SMALL_DISK_KB)}k"):
        soak.counts["small disks left out: no right to mount"] += 1
        return
    soak.disk = disk
    status, said = ended(soak.start())[0]
    if status:
        soak.failed_well(status, said, "cannot be written")
        soak.counts["full disks"] += 1
    expect(mounted(disk, "remount,size=1g"), "a tmpfs of 1 GB cannot be had")


def mounted(folder: Path, options: str) -> bool:
    """Mount a tmpfs; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", options, "soak", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False


def damaged_shard(soak: Soak) -> None:
    """A byte of a shard changes, or it is cut: named where it is heard, else nothing changes."""
    if soak.rng.random() < 0.5:
        soak.under_way()
    path = soak.rng.choice(
        [p for role in READ for p in sorted((soak.root / "suite" / role).glob("*.tar"))]
    )
    original = path.read_bytes()
    damage(path, soak.rng)
    status, said = soak.started_and_waited()
    path.write_bytes(original)
    if status:
        soak.failed_well(status, said, path.name, *LOST)
        soak.counts["damaged shards named"] += 1
    else:
        soak.compare()
        soak.counts["damaged shards not heard"] += 1


def damaged_checkpoint(soak: Soak) -> None:
    """A file of a checkpoint is damaged: named, with what to remove; that stage begins anew."""
    soak.under_way()
    files = [p for p in soak.out.rglob("checkpoints/last/*") if p.is_file()]
    if not files:
        return
    path = soak.rng.choice(files)
    damage(path, soak.rng)
    status, said = soak.started_and_waited()
    folder = path.parents[1]
    if status:
        soak.failed_well(status, said, f"remove {folder} and run the same command again", *LOST)
        soak.counts["damaged checkpoints named"] += 1
        shutil.rmtree(folder)
    else:
        soak.counts["damaged checkpoints not read"] += 1


def damage(path: Path, rng: random.Random) -> None:
    """Cut a file short or change one of its bytes."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    if rng.random() < 0.5:
        path.write_bytes(data[:place])
    else:
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


ROUNDS: tuple[Callable[[Soak], None], ...] = (
    kills, damaged_shard, file_limit, kills, damaged_checkpoint, small_disk, kills, hang,
)  # fmt: skip


@contextlib.contextmanager
def streaming(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A trainer that streams and validates for ever, on sets of its own that nobody damages."""
    shutil.copytree(root / "suite" / "valid", root / "long-valid")
    write_set(str(root / "long"), n_songs=40, excerpts=2, n_samples=SAMPLES, snrs_db=RUNGS_DB)
    trainer = start(
        (
            "robust", "--shards", root / "suite", "--set", f"train={root / 'long'}",
            "--set", f"valid={root / 'long-valid'}",
            "--encoder", "random", *COMPARISON, "--out", root / "endless", "--epochs", 100_000,
            "--validations", 10_000, "--workers", "1",
        ),
        OFTEN,
    )  # fmt: skip
    try:
        yield trainer
    finally:
        trainer.kill()
        trainer.communicate()


def steps_done(run: Path) -> int:
    """Return the newest step in a run's log."""
    path = run / "metrics.jsonl"
    return max((int(r["step"]) for r in read_records(path)), default=0) if path.is_file() else 0


@click.command()
@click.option("--minutes", default=15.0, show_default=True, help="How long.")
@click.option("--seed", default=0, show_default=True, help="Seed of the disturbances.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the report here.")
def main(minutes: float, seed: int, json_file: Path | None) -> None:
    """Disturb runs for some minutes; see the module's text."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = soak_training(Path(folder), minutes, seed)
    write_report(report, json_file)


def soak_training(root: Path, minutes: float, seed: int) -> dict[str, float]:
    """Soak in a folder; return the report.

    Raises:
        BrokenPromiseError: a round did not end as it must.
    """
    write_suite(root / "suite", codec="flac")
    soak = Soak(root, random.Random(seed))
    for n_ranks in (2, 1):
        soak.n_ranks = n_ranks
        soak.finish()
        shutil.rmtree(root / "reference", ignore_errors=True)
        shutil.move(soak.out, root / "reference")
    with streaming(root) as trainer:

        def one_round(number: int) -> tuple[str, float]:
            disturb = ROUNDS[number % len(ROUNDS)]
            soak.n_ranks = soak.rng.choice((1, 2))
            try:
                disturb(soak)
                soak.finish()
                shutil.rmtree(soak.out)
            finally:
                if soak.disk:
                    subprocess.run(["umount", str(soak.disk)], check=True)
                    soak.disk = None
            if trainer.poll() is not None:
                said = trainer.communicate()[0][-500:]
                expect(False, f"the trainer that nobody disturbs ended: {said}")
            return f"{disturb.__name__}, {soak.n_ranks} ranks", resident_mb(trainer.pid)

        report = run_rounds(minutes, one_round)
        report["steps streamed beside"] = steps_done(root / "endless")
    return {**report, **dict(sorted(soak.counts.items()))}


if __name__ == "__main__":
    main()
