"""Rows and tables of a set that exists in memory only, for the tests of ``prep report``."""

from __future__ import annotations

from dataclasses import replace

from manifests.rows import SAMPLE_RATE, Reject
from manifests.shardset import SetIndex, ShardInfo
from pipeline.finish import ExampleRow
from pipeline.report.contents import SetContents
from pipeline.tag_vocabulary import TagVocabulary

ROW = ExampleRow(
    key="k-0", split="train", domain="source", shard=0, offset=0, n_bytes=512, tags=("a",),
    corpus="folder", clip_id="c0", song="s0", artist="", licence="CC0-1.0", start_s=0.0,
    duration_s=10.0, noise_corpora=("musan",), noise_clip_ids=("n0",), noise_labels=("x; y",),
    noise_licences=("CC0-1.0",), noise_looped=(False,), gain_db=-1.0, band_hz=None,
    members=("clean", "noisy.snr_-10", "noisy.snr_5"), targets_db=(-10.0, 5.0),
    achieved_db=(-10.0, 5.0), levels_db=(-30.0, -19.6, -28.8), peaks=(0.5, 0.9, 0.6),
    chunk_snr_db=(-1.0, 0.0, 7.0),
)  # fmt: skip


def contents(*rows: ExampleRow, rejects: tuple[Reject, ...] = (), **index: object) -> SetContents:
    default = SetIndex(
        format_version=1, name="s", split="train", sample_rate=SAMPLE_RATE, tags=("a", "b"),
        snrs_db=(5.0, -10.0), noises_per_example=1, codec="flac", counts={},
        shards=(ShardInfo("shard-000000.tar", len(rows), 512, "0" * 64, None),),
        plan_sha256="0" * 64, config={}, tools={},
    )  # fmt: skip
    vocabulary = TagVocabulary(
        ("a", "b"), {"a": {"train": 9, "test": 2}, "b": {}}, (("c", "rare", {"train": 1}),)
    )
    return SetContents("u", replace(default, **index), rows, rejects, vocabulary)  # type: ignore[arg-type]


def reject(path: str, corpus: str = "folder", reason: str = "silent") -> Reject:
    return Reject(corpus, path, path, "scan", reason, f"{path}: expected sound, got none")
