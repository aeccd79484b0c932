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
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from disturbed_training import ROUNDS
from soaked_training import OFTEN, Soak  # puts tests/trainer on the path, for tiny_*
from soaking import expect, resident_mb, run_rounds, write_report
from tiny_sets import write_set
from tiny_suite import COMPARISON, RUNGS_DB, SAMPLES, start, write_suite

from trainer.runs.metrics_log import read_records


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
