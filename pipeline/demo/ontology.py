"""A part of the AudioSet ontology: the classes that the demo uses, and what is above them.

Ids, names, parents and restrictions are those of the official ``ontology.json`` (Gemmeke et al.,
Audio Set, ICASSP 2017, CC BY-SA 4.0). Three classes keep two parents of theirs, so that a walk
must treat the ontology as a graph: babble, clapping, choir.
"""

from __future__ import annotations

import json
from typing import Final

_NODES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("/m/0dgw9r", "Human sounds", ("/m/09l8g", "/t/dd00012")),
    ("/m/09l8g", "Human voice", ("/m/09x0r", "/m/015lz1")),
    ("/m/09x0r", "Speech", ("/m/05zppz", "/m/02zsn")),
    ("/m/05zppz", "Male speech, man speaking", ()),
    ("/m/02zsn", "Female speech, woman speaking", ()),
    ("/m/015lz1", "Singing", ("/m/0l14jd", "/t/dd00003", "/t/dd00004")),
    ("/m/0l14jd", "Choir", ()),
    ("/t/dd00003", "Male singing", ()),
    ("/t/dd00004", "Female singing", ()),
    ("/t/dd00012", "Human group actions",
     ("/m/0l15bq", "/m/053hz1", "/m/028ght", "/m/07rkbfh", "/m/03qtwd", "/m/07qfr4h")),
    ("/m/0l15bq", "Clapping", ()),
    ("/m/053hz1", "Cheering", ()),
    ("/m/028ght", "Applause", ()),
    ("/m/07rkbfh", "Chatter", ()),
    ("/m/03qtwd", "Crowd", ()),
    ("/m/07qfr4h", "Hubbub, speech noise, speech babble", ()),
    ("/m/04rlf", "Music", ("/m/04szw", "/m/0kpv1t")),
    ("/m/04szw", "Musical instrument", ("/m/0fx80y", "/m/0l14jd")),
    ("/m/0fx80y", "Plucked string instrument", ("/m/0342h",)),
    ("/m/0342h", "Guitar", ()),
    ("/m/0kpv1t", "Music genre", ("/m/02lkt",)),
    ("/m/02lkt", "Electronic music", ("/m/07gxw",)),
    ("/m/07gxw", "Techno", ()),
    ("/m/059j3w", "Natural sounds", ("/m/03m9d0z", "/m/0838f")),
    ("/m/03m9d0z", "Wind", ()),
    ("/m/0838f", "Water", ("/m/06mb1", "/m/05kq4")),
    ("/m/06mb1", "Rain", ("/t/dd00038",)),
    ("/t/dd00038", "Rain on surface", ()),
    ("/m/05kq4", "Ocean", ("/m/034srq",)),
    ("/m/034srq", "Waves, surf", ()),
    ("/t/dd00041", "Sounds of things", ("/m/07yv9", "/m/02mk9", "/t/dd00071", "/m/07pp_mv")),
    ("/m/07yv9", "Vehicle", ("/m/012f08",)),
    ("/m/012f08", "Motor vehicle (road)", ("/m/0k4j", "/m/0btp2")),
    ("/m/0k4j", "Car", ()),
    ("/m/0btp2", "Traffic noise, roadway noise", ()),
    ("/m/02mk9", "Engine", ("/m/07pb8fc",)),
    ("/m/07pb8fc", "Idling", ()),
    ("/t/dd00071", "Domestic sounds, home sounds", ("/m/0d31p",)),
    ("/m/0d31p", "Vacuum cleaner", ()),
    ("/m/07pp_mv", "Alarm", ("/m/03kmc9", "/m/030rvx")),
    ("/m/03kmc9", "Siren", ()),
    ("/m/030rvx", "Buzzer", ()),
    ("/t/dd00098", "Source-ambiguous sounds", ("/m/028v0c",)),
    ("/m/028v0c", "Silence", ()),
    ("/t/dd00123", "Channel, environment and background", ("/m/096m7z",)),
    ("/m/096m7z", "Noise", ("/m/07qfr4h",)),
)  # fmt: skip

_RESTRICTIONS: Final = {
    "/m/0dgw9r": "abstract", "/m/09l8g": "abstract", "/t/dd00012": "abstract",
    "/m/0kpv1t": "abstract", "/t/dd00098": "abstract", "/t/dd00123": "abstract",
    "/m/059j3w": "blacklist", "/t/dd00041": "blacklist", "/t/dd00071": "blacklist",
}  # fmt: skip
"""Classes that are no labels themselves, and why."""

_IDS: Final = {name: mid for mid, name, _ in _NODES}


def label_id(name: str) -> str:
    """Return the id of a class, e.g. ``/m/09x0r`` for ``Speech``."""
    return _IDS[name]


def ontology_json() -> str:
    """Return ``ontology.json``: the six fields of the official file, descriptions left empty."""
    nodes = [
        {
            "id": mid,
            "name": name,
            "description": "",
            "citation_uri": "",
            "positive_examples": [],
            "child_ids": list(children),
            "restrictions": [_RESTRICTIONS[mid]] if mid in _RESTRICTIONS else [],
        }
        for mid, name, children in _NODES
    ]
    return json.dumps(nodes, indent=2) + "\n"


def class_labels_csv() -> str:
    """Return ``class_labels_indices.csv``: index, id and quoted name of every label."""
    labels = [(mid, name) for mid, name, _ in _NODES if mid not in _RESTRICTIONS]
    rows = [f'{i},{mid},"{name}"\n' for i, (mid, name) in enumerate(labels)]
    return "index,mid,display_name\n" + "".join(rows)
