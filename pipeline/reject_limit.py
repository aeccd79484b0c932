"""When a corpus is too broken to build from: its rejects against ``--max-reject-percent``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sized

from manifests.errors import ManifestError
from manifests.rows import Reject
from pipeline.corpora import corpus
from pipeline.planned import Plan


def counted_rejects(rejects: Iterable[Reject]) -> set[tuple[str, str]]:
    """Return the rejects that count against the limit, each clip or metadata row once.

    Clips that are known to be broken upstream do not count, nor, where a corpus loses files by its
    nature (AudioSet), those that are missing.
    """
    return {(reject.path, reject.clip_id or reject.detail) for reject in rejects if _counts(reject)}


def n_to_be_had(clips: Sized, rejects: Iterable[Reject]) -> int:
    """Return how many clips the limit is a share of: those listed, less rejects not counted."""
    return len(clips) + sum(_counts(reject) for reject in rejects)


def _counts(reject: Reject) -> bool:
    missing_is_normal = reject.reason == "missing" and corpus(reject.corpus).MISSING_IS_NORMAL
    return reject.reason != "known-broken" and not missing_is_normal


def reject_share(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return (rejects that count, clips to be had) by corpus, over all splits of the corpus."""
    return {
        name: (
            len(counted_rejects(r for r in plan.rejects if r.corpus == name))
            + plan.rejected_elsewhere[name],
            listed,
        )
        for name, listed in plan.n_listed.items()
    }


def check_rejects(plan: Plan, max_reject_percent: float) -> None:
    """Stop before rendering where too much of a corpus is unusable.

    Raises:
        ManifestError: with the counts by reason and the first file of each.
    """
    for name, (n_rejects, listed) in reject_share(plan).items():
        if n_rejects > max_reject_percent / 100.0 * listed:
            shown = commonest_reasons(reject for reject in plan.rejects if reject.corpus == name)
            shown = shown or f"none of them of split {plan.config.split}"
            raise ManifestError(
                f"{name}: expected at most {max_reject_percent:g} % rejects, got {n_rejects} of "
                f"{listed} clips: {shown}. Mend the copy or raise --max-reject-percent"
            )


def commonest_reasons(rejects: Iterable[Reject]) -> str:
    """Return the commonest reasons of rejects, each with its first detail; empty for none."""
    every = list(rejects)
    first = {reject.reason: reject.detail for reject in reversed(every)}
    counts = Counter(reject.reason for reject in every).most_common(4)
    return "; ".join(f"{n} {why} (e.g. {first[why]})" for why, n in counts)
