"""The C library's allocator keeps large blocks, and says where it cannot."""

from __future__ import annotations

import ctypes
import logging
import platform
import subprocess
import sys

import pytest

from trainer import allocator

FAULTS = """
import resource, torch
from trainer.allocator import keep_freed_memory
def faults_of_four_blocks():
    for _ in range(12):  # glibc's aligned blocks leave remainders; the heap settles after a few
        torch.zeros(16 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults_of_four_blocks(), keep_freed_memory(), faults_of_four_blocks())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_blocks_are_reused() -> None:
    command = [sys.executable, "-c", FAULTS]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    default, done, kept = said.split()
    # 64 MB are 16,384 pages of 4 KB (fewer faults where pages are larger), each time unless kept.
    assert int(default) > 4 * 30
    assert done == "True"
    assert int(kept) < 10


def test_nothing_happens_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert allocator.keep_freed_memory() is False


def test_a_refusal_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing:
        gnu_get_libc_version = None

        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            return 0

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Refusing())
    with caplog.at_level(logging.WARNING):
        assert allocator.keep_freed_memory() is False
    assert "mallopt refused the setting" in caplog.text
