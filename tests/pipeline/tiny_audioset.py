"""AudioSet's tables with six labels and six clips."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.corpora import FileTree, audioset
from pipeline.corpora.listing import Listing

NAMES = {
    "/m/04rlf": "Music",
    "/m/015lz1": "Singing",
    "/m/0bell": "Bell",
    "/m/0choir": "Choir",
    "/m/09x0r": "Speech",
    "/m/dog": "Dog, barking",
}
# Bell has two parents: a tree walk from the top would find it under one of them alone.
CHILDREN = {
    "/m/04rlf": ["/m/0bell"],
    "/m/015lz1": ["/m/0choir"],
    "/m/09x0r": ["/m/015lz1"],
    "/m/dog": ["/m/0bell"],
}
HEAD = (
    "# Segments csv created\n# num_ytids=4\n# YTID, start_seconds, end_seconds, positive_labels\n"
)
TRAIN = [
    '-ab_defghij, 30.000, 40.000, "/m/dog"',
    'Yabcdefghij, 0.000, 10.000, "/m/dog,/m/09x0r"',
    'music000000, 0.000, 10.000, "/m/09x0r,/m/04rlf"',
    'bell0000000, 0.000, 10.000, "/m/0bell"',
]
EVAL = [
    'choir000000, 0.000, 10.000, "/m/0choir"',
    'short000000, 110.000, 111.500, "/m/09x0r"',
]


def write(root: Path, *, ontology: bool = True, class_labels: bool = True) -> None:
    """Write the tables; audio is each test's own."""
    root.mkdir(exist_ok=True)
    (root / "balanced_train_segments.csv").write_text(HEAD + "\n".join(TRAIN) + "\n")
    (root / "eval_segments.csv").write_text(HEAD + "\n".join(EVAL) + "\n")
    if ontology:
        nodes = [
            {"id": mid, "name": name, "child_ids": CHILDREN.get(mid, [])}
            for mid, name in NAMES.items()
        ]
        (root / "ontology.json").write_text(json.dumps(nodes))
    if class_labels:
        rows = [f'{i},{mid},"{name}"' for i, (mid, name) in enumerate(NAMES.items())]
        (root / "class_labels_indices.csv").write_text(
            "\n".join(["index,mid,display_name", *rows]) + "\n"
        )


def listed(root: Path, *, audio: bool = False, **options: object) -> Listing:
    """List the clips, from the tables alone unless audio is asked for."""
    tree = FileTree(root)
    return audioset.list_clips(tree, tree, options, with_audio=audio)
