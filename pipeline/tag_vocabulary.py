"""The tag vocabulary of a set: names in order, counts, what was lost, and the merged synonyms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from manifests.errors import ManifestError

Counts = Mapping[str, int]
"""Number of clips by split."""


@dataclass(frozen=True)
class TagVocabulary:
    """The tags of a set.

    Attributes:
        names: in the list's order, else by falling number of training clips, then by name.
        counts: clips by tag and split, for every name; a split that no clip is in is left out.
        lost: (tag, reason, clips by split) of every tag that is not kept, sorted by tag. Tags that
            were merged into another are not lost.
        merge: canonical name by merged tag.
    """

    names: tuple[str, ...]
    counts: Mapping[str, Counts]
    lost: tuple[tuple[str, str, Counts], ...] = ()
    merge: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names that no clip carries; they stay, so that teams with one list have one order."""
        return tuple(name for name in self.names if not any(self.counts[name].values()))

    def select(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the kept ones of a clip's tags, merged, in vocabulary order, each once."""
        present = {self.merge.get(tag, tag) for tag in tags}
        return tuple(name for name in self.names if name in present)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, sorted where order has no meaning."""
        return {
            "counts": {
                name: dict(sorted(self.counts[name].items())) for name in sorted(self.names)
            },
            "lost": [[tag, reason, dict(sorted(n.items()))] for tag, reason, n in self.lost],
            "merge": dict(sorted(self.merge.items())),
            "names": list(self.names),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> TagVocabulary:
        """Return the vocabulary that ``to_dict`` described; other keys are passed over.

        Raises:
            ManifestError: the record is not of that form.
        """
        try:
            names = tuple(_text(name) for name in record["names"])
            counts = {name: _counts(record["counts"].get(name, {})) for name in names}
            lost = tuple(
                (_text(tag), _text(reason), _counts(n)) for tag, reason, n in record["lost"]
            )
            merge = {_text(tag): _text(name) for tag, name in record["merge"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(
                f"tags: expected names, counts, lost and merge, got: {error!r}"
            ) from error
        if len(set(names)) != len(names):
            raise ManifestError("tags: expected every name once, got one twice")
        return cls(names, counts, lost, merge)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"a text, not {value!r}")
    return value


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {_text(split): int(n) for split, n in value.items()}
