"""The data side of training: from a set on disk to batches of waveforms.

``index`` finds every member, ``reading`` says which may be opened, ``plan`` orders batches,
``stream`` reads and decodes them, ``loader`` serves them; ``clips`` reads whole clips to evaluate.
"""

from trainer.data.batches import Batch, ViewBatch
from trainer.data.clips import EvalClip, clip_refs, iter_clips
from trainer.data.index import ExampleRef, load_refs
from trainer.data.loader import Loader, LoaderConfig, LoaderState
from trainer.data.part import Part, make_part
from trainer.data.reading import Reading, View
from trainer.data.snr import ConstantSnr, SnrRange

__all__ = [
    "Batch",
    "ConstantSnr",
    "EvalClip",
    "ExampleRef",
    "Loader",
    "LoaderConfig",
    "LoaderState",
    "Part",
    "Reading",
    "SnrRange",
    "View",
    "ViewBatch",
    "clip_refs",
    "iter_clips",
    "load_refs",
    "make_part",
]
