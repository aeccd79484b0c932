"""The command ``prep``: a thin layer that parses options and makes one stage call."""

from __future__ import annotations

from pipeline.cli.group import prep


def main() -> None:
    """Run ``prep``; exit status 0 done, 1 failed, 2 wrong use."""
    prep(prog_name="prep")


__all__ = ["main", "prep"]
