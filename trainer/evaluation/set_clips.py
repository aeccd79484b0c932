"""A finished set on disk as something to evaluate on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from manifests.canonical import canonical_json, sha256_text
from manifests.errors import ManifestError
from manifests.keys import AUDIO, CLEAN, noisy_name
from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import SetIndex, ShardSet
from manifests.subset import Subset
from trainer.bootstrap import artist_clusters
from trainer.data import EvalClip, clip_refs, iter_clips
from trainer.data.lengths import check_perturbed
from trainer.evaluation.clip_scores import Clip
from trainer.evaluation.evaluate import EvaluationSet
from trainer.evaluation.figures import SetLabel
from trainer.level import narrower_hz
from trainer.perturb.perturbation import Perturbation
from trainer.runs.progress import show_progress


def evaluation_set(
    shard_set: ShardSet,
    tags: tuple[str, ...],
    *,
    recipe_id: str | None = None,
    subset: Subset | None = None,
    chunk_samples: int = CHUNK_SAMPLES,
    n_workers: int = 0,
    perturbations: Sequence[Perturbation] = (),
    band_hz: float | None = None,
) -> EvaluationSet:
    """Return a set, or a subset of it, to evaluate on.

    Args:
        shard_set: a finished set.
        tags: the model's vocabulary, in the order of its outputs; the set may list the same tags
            in another order, for examples hold names. A set without tags fits every model.
        recipe_id: id of the set's frozen recipe; None where it was never frozen.
        subset: keys to score; None scores the whole set.
        chunk_samples: the model's input length in samples.
        n_workers: decoding processes.
        perturbations: what is done to the clean member, or to real recordings, besides.
        band_hz: upper edge of the band that the model was trained on, Hz: what a wider set holds
            above it is taken away, as ``train tag`` does with files. None where it was full.

    Raises:
        ManifestError: the vocabularies differ, the subset belongs to another recipe or holds keys
            that the set lacks, a clip holds no chunk, as it is or perturbed, or the set on disk is
            not what its index says.
    """
    index = shard_set.index
    if index.tags and set(index.tags) != set(tags):
        raise ManifestError(_vocabulary_message(index, tags))
    if subset is not None:
        subset.check_recipe(recipe_id, index.name)
    members = members_snr_db(index)
    refs = clip_refs(
        shard_set,
        tuple(members),
        subset=None if subset is None else frozenset(subset.keys),
        chunk_samples=chunk_samples,
    )
    check_perturbed(refs, perturbations, chunk_samples)
    return EvaluationSet(
        label=SetLabel(
            name=index.name,
            recipe_id=recipe_id,
            plan_id=plan_id(index),
            subset_id=subset.subset_id if subset else None,
        ),
        tags=tags,
        snrs_db=members,
        clips=lambda: _clips(
            iter_clips(
                refs,
                chunk_samples=chunk_samples,
                n_workers=n_workers,
                perturbations=perturbations,
                band_hz=band_hz,
            ),
            index.name,
            len(refs),
        ),
        definitions={item.name: item.definition for item in perturbations},
        limit_hz=band_hz if any(narrower_hz(band_hz, ref.band_hz) for ref in refs) else None,
    )


def members_snr_db(index: SetIndex) -> dict[str, float | None]:
    """Return the SNR of each member of a set, in order; None for clean and real recordings."""
    if not index.snrs_db:
        return {AUDIO: None}
    return {CLEAN: None} | {noisy_name(snr_db): snr_db for snr_db in index.snrs_db}


def plan_id(index: SetIndex) -> str:
    """Return the hash of a set's plan and of its identity config.

    The plan alone does not tell a band-limited set from one that is not.
    """
    return sha256_text(canonical_json({"config": index.config, "plan": index.plan_sha256}))


def _clips(clips: Iterable[EvalClip], name: str, n_clips: int) -> Iterator[Clip]:
    with show_progress(f"evaluate {name}", n_clips) as show:
        for number, clip in enumerate(clips, 1):
            (cluster,) = artist_clusters([clip.ref.artist], [clip.ref.song])
            chunks = {name: chunk.numpy() for name, chunk in clip.chunks.items()}
            yield Clip(clip.ref.key, cluster, clip.ref.tags, chunks, clip.snr_db)
            show(number, n_examples=1)


def _vocabulary_message(index: SetIndex, tags: tuple[str, ...]) -> str:
    lacking = [tag for tag in tags if tag not in index.tags]
    extra = [tag for tag in index.tags if tag not in tags]
    return (
        f"{index.name}: expected the {len(tags)} tags of the checkpoint, got {len(index.tags)}: "
        f"lacks {lacking[:5]}, adds {extra[:5]}; build the set with the tags.json of the training "
        "set"
    )
