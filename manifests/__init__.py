"""The contract: row types, shard format, set index, signal arithmetic and checked-in lists.

Imports nothing of ``pipeline`` or ``trainer``, and no torch.
"""

from manifests.errors import ManifestError, UsageError
from manifests.example import FORMAT_VERSION, Example
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, Clip, PlanRow, Reject
from manifests.shardset import ShardSet, load_set, load_suite

__all__ = [
    "CHUNK_SAMPLES",
    "FORMAT_VERSION",
    "SAMPLE_RATE",
    "Clip",
    "Example",
    "ManifestError",
    "PlanRow",
    "Reject",
    "ShardSet",
    "UsageError",
    "load_set",
    "load_suite",
]
