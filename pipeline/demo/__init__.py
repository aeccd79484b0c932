"""Small synthetic corpora in the official layouts, to try everything without a download.

The music is synthesised so that its tags can be heard, the noise is everyday noise, some files are
broken on purpose. ``music.py`` and ``noises.py`` make the sound, one module per corpus lays it out.
"""

from __future__ import annotations

from pipeline.demo.write import (
    PRETRAIN_SONGS,
    DemoSummary,
    plan_demo_corpora,
    write_corpora,
    write_demo_corpora,
)

__all__ = [
    "PRETRAIN_SONGS",
    "DemoSummary",
    "plan_demo_corpora",
    "write_corpora",
    "write_demo_corpora",
]
