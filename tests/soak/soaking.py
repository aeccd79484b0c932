"""What both soaks share: promises that a round must keep, rounds until the time is up, memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

DEADLINE_S = 600.0


class BrokenPromiseError(Exception):
    """A round that did not end as it must."""


def expect(holds: bool, what: str) -> None:
    """Raise BrokenPromiseError where something does not hold."""
    if not holds:
        raise BrokenPromiseError(what)


def expect_message(status: int, said: str, *words: str) -> None:
    """Expect status 1 and a last line that says what is wrong, without a traceback."""
    last = (said.strip().splitlines() or [""])[-1]
    expect(status == 1 and "Traceback" not in said, f"status {status}: {said}")
    expect(any(word in last for word in words), f"expected one of {words} in: {last}")


def resident_mb(pid: int | None = None) -> float:
    """Resident memory of a process (this one for None) and of all below it, MB."""
    top = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (top, *top.children(recursive=True))) / 1e6


def run_rounds(minutes: float, one_round: Callable[[int], tuple[str, float]]) -> dict[str, float]:
    """Run rounds until the time is up.

    Args:
        minutes: when no further round begins.
        one_round: takes the number of the round; returns what it was, and the memory after it, MB.

    Returns:
        Minutes taken, number of rounds, mean memory of their first and of their last third.
    """
    begin, memory = time.monotonic(), list[float]()
    while time.monotonic() - begin < 60 * minutes:
        name, used_mb = one_round(len(memory))
        memory.append(used_mb)
        print(f"round {len(memory)} {name}: as it must be, {used_mb:.0f} MB", flush=True)
    third = max(len(memory) // 3, 1)
    return {
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "rounds": len(memory),
        "memory_mb_first_third": round(sum(memory[:third]) / third, 1),
        "memory_mb_last_third": round(sum(memory[-third:]) / third, 1),
    }


def write_report(report: Mapping[str, float], json_file: Path | None) -> None:
    """Print a report, and write it where asked."""
    text = json.dumps(report, indent=1)
    print(text)
    if json_file:
        json_file.write_text(text + "\n")
