"""Score files as they are compared: loaded, checked, and checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from manifests import store
from manifests.errors import ManifestError, UsageError
from trainer.evaluation.clip_scores import ScoreTable
from trainer.evaluation.evaluate import EVALUATION_FOLDER
from trainer.evaluation.figures import CLIP_SCORE, MEAN, MetricDefinition, split_limit
from trainer.evaluation.score_file import SUFFIX, ScoreFile, load_score_file


@dataclass(frozen=True)
class Scored:
    """A score file and its table, as ``load_score_file`` returns them.

    Attributes:
        url: where the score file lies.
        file: the score file.
        table: its table.
    """

    url: str
    file: ScoreFile
    table: ScoreTable


def load_scores(urls: Sequence[str]) -> list[Scored]:
    """Load score files; a run's folder stands for all of its score files, the mean's first.

    Args:
        urls: ``NAME.scores`` files, and run folders that were evaluated.

    Raises:
        UsageError: nothing given.
        ManifestError: a run was not evaluated, or a score file is not what it says.
    """
    if not urls:
        raise UsageError("compare: expected runs or score files, got none; name at least one")
    loaded = list[Scored]()
    for url in urls:
        if url.endswith(SUFFIX):
            loaded.append(Scored(url, *load_score_file(url)))
            continue
        folder = store.join(url, EVALUATION_FOLDER)
        found = [name for name in store.list_names(folder) if name.endswith(SUFFIX)]
        if not found:
            raise ManifestError(
                f"{url}: expected score files in {EVALUATION_FOLDER}/, found none; run train "
                f"evaluate --checkpoint {url} first"
            )
        files = (store.join(folder, name) for name in found)
        own = [Scored(file, *load_score_file(file)) for file in files]
        loaded += sorted(own, key=lambda item: item.file.run.aggregate != MEAN)
    return loaded


def check_comparable(first: ScoreFile, second: ScoreFile) -> None:
    """Check that two score files speak of the same examples and the same figures.

    Raises:
        ManifestError: another recipe, set, subset or vocabulary, another definition of the metric
            or of a perturbation that both were scored on.
    """
    a, b = first.set, second.set
    pairs: list[tuple[str, object, object]] = [
        ("recipe id", a.recipe_id, b.recipe_id)
        if a.recipe_id and b.recipe_id
        else ("plan id", a.plan_id, b.plan_id),  # tells sets apart that were never frozen
        ("subset id", a.subset_id or "whole set", b.subset_id or "whole set"),
        ("metric", _metric(first), _metric(second)),
        ("tag vocabulary", sorted(first.tags), sorted(second.tags)),
    ]
    ours, theirs = (
        {item.member: item.definition for item in file.figures.perturbed}
        for file in (first, second)
    )
    pairs += [(name, ours[name], theirs[name]) for name in ours if name in theirs]
    for what, said, other in pairs:
        if said != other:
            raise ManifestError(
                f"{first.run.shown} and {second.run.shown}: expected one {what}, got {said!s:.120} "
                f"and {other!s:.120}; evaluate both runs on the same set and subset"
            )


def _metric(file: ScoreFile) -> MetricDefinition:
    """Return how the figures were made, less what is part of the run.

    That is how it aggregates, and the band that it was trained on and is given.
    """
    if split_limit(file.metric.clip_score)[0] == CLIP_SCORE[file.run.aggregate]:
        return replace(file.metric, clip_score=CLIP_SCORE[MEAN])
    return file.metric
