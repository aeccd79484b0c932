"""Options of small noisy students."""

from __future__ import annotations

from tiny_suite import COMPARISON

QUICK = (*COMPARISON, "--valid-limit", "4")
NOISY = ("--student-hears", "noisy")
