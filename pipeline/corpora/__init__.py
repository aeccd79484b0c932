"""The corpora by name: one module each, with the same public names in all of them.

A new corpus is one module with the names of ``Corpus`` and one line in ``CORPORA``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from manifests.errors import UsageError
from pipeline.corpora import audioset, folder, jamendo, mtat, musan
from pipeline.corpora.files import FileTree
from pipeline.corpora.listing import CorpusOption, Listing

__all__ = ["CORPORA", "Corpus", "CorpusOption", "FileTree", "Listing", "corpus"]


class Corpus(Protocol):
    """What every corpus module holds."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """Name on the command line and in every row."""

    @property
    def TITLE(self) -> str:  # noqa: N802
        """Name for people."""

    @property
    def CITATION(self) -> str:  # noqa: N802
        """BibTeX entry, or empty."""

    @property
    def LICENCE(self) -> str:  # noqa: N802
        """Licence of the corpus as a whole."""

    @property
    def URL(self) -> str:  # noqa: N802
        """Where the corpus is found, or empty."""

    @property
    def LAYOUT(self) -> str:  # noqa: N802
        """What the root should hold, one line each."""

    @property
    def ROLE(self) -> tuple[str, ...]:  # noqa: N802
        """``music``, ``noise`` or both."""

    @property
    def DEFAULT_TAGS(self) -> str:  # noqa: N802
        """Tag selection where ``--tags`` is not given."""

    @property
    def MISSING_IS_NORMAL(self) -> bool:  # noqa: N802
        """Rejects of reason ``missing`` do not count against the limit of rejects."""

    @property
    def OPTIONS(self) -> Sequence[CorpusOption]:  # noqa: N802
        """Options of this corpus; their names begin with its prefix."""

    def list_clips(
        self,
        tree: FileTree,
        metadata: FileTree,
        options: Mapping[str, Any],
        *,
        with_audio: bool = True,
    ) -> Listing:
        """List the clips of a copy of the corpus; raises ManifestError and UsageError."""


CORPORA: Final[dict[str, Corpus]] = {
    "mtat": mtat,
    "mtg-jamendo": jamendo,
    "audioset": audioset,
    "musan": musan,
    "folder": folder,
}


def corpus(name: str) -> Corpus:
    """Return a corpus by name.

    Raises:
        UsageError: there is no such corpus; the message lists those that there are.
    """
    found = CORPORA.get(name)
    if found is None:
        near = difflib.get_close_matches(name, CORPORA, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{name}: expected a corpus, one of {', '.join(CORPORA)}{hint}")
    return found
