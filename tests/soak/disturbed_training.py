"""What disturbs a run of training: each round of its soak is one of these."""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from soaked_training import Soak, ended
from soaking import DEADLINE_S, expect

READ = ("pretrain-train", "pretrain-valid", "train", "valid")
HANG_S = 30.0
SMALL_DISK_KB = (48, 480)
LOST = ("lost one", "gave none")


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
