"""Names of AudioSet's labels, and which of them make a clip unfit as noise.

The ontology is a graph, not a tree: 38 of its 632 nodes have several parents (Gemmeke et al.,
ICASSP 2017), so what lies under Music is found by a walk that remembers where it was.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from manifests.errors import ManifestError, UsageError
from pipeline.corpora.checked_in import AUDIOSET_DROP, checked_in_list, user_list
from pipeline.corpora.files import FileTree
from pipeline.corpora.metadata_rows import (
    column_places,
    header_row,
    missing_file,
    read_rows,
)

ONTOLOGY: Final = "ontology.json"
CLASS_LABELS: Final = "class_labels_indices.csv"
MUSIC_MID: Final = "/m/04rlf"
SINGING_MID: Final = "/m/015lz1"


def read_ontology(metadata: FileTree) -> dict[str, dict[str, Any]] | None:
    """Return the nodes of ``ontology.json`` by mid, or None where the file is not there.

    Raises:
        ManifestError: it is not the ontology.
    """
    if not metadata.exists(ONTOLOGY):
        return None
    try:
        nodes = {node["id"]: node for node in json.loads(metadata.read_text(ONTOLOGY))}
        for node in nodes.values():
            if not isinstance(node["name"], str) or not isinstance(node["child_ids"], list):
                raise TypeError(f"node {node['id']}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ManifestError(
            f"{ONTOLOGY}: expected a list of nodes with id, name and child_ids, got: {error!r}; "
            "fetch the file again"
        ) from error
    if MUSIC_MID not in nodes or SINGING_MID not in nodes:
        raise ManifestError(
            f"{ONTOLOGY}: expected nodes Music ({MUSIC_MID}) and Singing ({SINGING_MID}), "
            f"got {len(nodes)} nodes without them; fetch the file again"
        )
    return nodes


def read_label_names(
    metadata: FileTree,
    ontology: Mapping[str, Mapping[str, Any]] | None,
    *,
    corpus: str,
    layout: str,
) -> dict[str, str]:
    """Return the display name of every label by mid.

    Names of ``class_labels_indices.csv`` and of the ontology agree on all 527 labels; either file
    will do.

    Raises:
        ManifestError: neither file is there, or class_labels_indices.csv is not what it should be.
    """
    names = {mid: str(node["name"]) for mid, node in (ontology or {}).items()}
    if metadata.exists(CLASS_LABELS):
        rows = read_rows(metadata.read_text(CLASS_LABELS), delimiter=",")
        header = header_row(rows, rel=CLASS_LABELS)
        places = column_places(header, ("mid", "display_name"), rel=CLASS_LABELS)
        for line, cells in rows:
            if len(cells) != len(header):
                raise ManifestError(
                    f"{CLASS_LABELS} line {line}: expected {len(header)} columns, got "
                    f"{len(cells)}; fetch the file again"
                )
            names[cells[places["mid"]]] = cells[places["display_name"]]
    if not names:
        raise missing_file(metadata, (CLASS_LABELS, ONTOLOGY), corpus=corpus, layout=layout)
    return names


def labels_below(ontology: Mapping[str, Mapping[str, Any]], roots: Iterable[str]) -> frozenset[str]:
    """Return the mids of the roots and of all nodes that can be reached from them."""
    reached: set[str] = set()
    pending = list(roots)
    while pending:
        mid = pending.pop()
        if mid not in reached and mid in ontology:
            reached.add(mid)
            pending.extend(ontology[mid]["child_ids"])
    return frozenset(reached)


def music_labels(ontology: Mapping[str, Mapping[str, Any]] | None) -> tuple[frozenset[str], str]:
    """Return the mids under Music or Singing, and a note that says where they come from."""
    if ontology is not None:
        found = labels_below(ontology, (MUSIC_MID, SINGING_MID))
        return found, f"labels under Music or Singing by a walk over {ONTOLOGY}"
    listed = frozenset(line.split("\t")[0] for line in checked_in_list(AUDIOSET_DROP))
    return listed, (
        f"{ONTOLOGY} not found: labels under Music or Singing by the checked-in list "
        f"{AUDIOSET_DROP.rpartition('/')[2]}"
    )


def named_labels(
    given: Iterable[str], list_url: str | None, names: Mapping[str, str]
) -> frozenset[str]:
    """Return the mids of labels that a user wants dropped as well, without those below them.

    Args:
        given: mids, or display names in any case.
        list_url: file with one mid or display name a line (``mid<TAB>name`` will do), or None.
        names: display names by mid.

    Raises:
        UsageError: a label does not exist; the message holds the nearest names.
        ManifestError: the file cannot be read.
    """
    wanted = list(given)
    if list_url:
        wanted += [line.split("\t")[0] for line in user_list(list_url)]
    by_name = {name.casefold(): mid for mid, name in names.items()}
    mids: set[str] = set()
    for label in wanted:
        mid = label if label in names else by_name.get(label.strip().casefold())
        if mid is None:
            near = difflib.get_close_matches(label, names.values(), n=3, cutoff=0.5)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise UsageError(
                f"{label}: expected a mid or a display name of AudioSet, got neither{hint}"
            )
        mids.add(mid)
    return frozenset(mids)
