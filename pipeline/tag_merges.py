"""The file of synonyms for ``--merge-tags``.

One form: two columns, ``tag,canonical``, separated by TAB or by comma; a name that holds a comma
stands in double quotes or the line uses TAB. A first row ``tag,canonical`` is a header; blank lines
and lines that begin with ``#`` are passed over::

    female vocals,female vocal
    female singer,female vocal
"""

from __future__ import annotations

import csv

from manifests import store
from manifests.errors import ManifestError
from pipeline.corpora.checked_in import composed

HEADER = ("tag", "canonical")


def read_merges(url: str) -> dict[str, str]:
    """Return the canonical name by tag.

    Raises:
        ManifestError: the file cannot be read; a row has not two names; a tag is merged into two
            names; or a canonical name is itself merged, so that the result would hang on the order.
    """
    merges: dict[str, str] = {}
    text = composed(store.read_text(url).removeprefix("\ufeff"))
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        cells = _cells(row)
        if tuple(cells) == HEADER and not merges:
            continue
        if len(cells) != 2 or not all(cells):
            raise ManifestError(
                f"{url} line {line}: expected two columns, tag and canonical, got {row.strip()!r}"
            )
        tag, canonical = cells
        if merges.setdefault(tag, canonical) != canonical:
            raise ManifestError(
                f"{url} line {line}: expected one canonical name for {tag}, got {merges[tag]} "
                f"and {canonical}"
            )
    merges = {tag: canonical for tag, canonical in merges.items() if tag != canonical}
    for tag, canonical in merges.items():
        if canonical in merges:
            raise ManifestError(
                f"{url}: expected {canonical} to stay, as {tag} is merged into it, got it merged "
                f"into {merges[canonical]}; name the last one for both"
            )
    return merges


def _cells(row: str) -> list[str]:
    if "\t" in row:
        return [cell.strip() for cell in row.split("\t")]
    return [cell.strip() for cell in next(csv.reader([row.strip()], skipinitialspace=True))]
