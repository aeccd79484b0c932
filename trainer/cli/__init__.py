"""The command ``train``: a thin layer that parses options and makes one call."""

from __future__ import annotations

from trainer.cli.group import train


def main() -> None:
    """Run ``train``; exit status 0 done, 1 failed, 2 wrong use."""
    train(prog_name="train")


__all__ = ["main", "train"]
