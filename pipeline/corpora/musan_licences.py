"""What MUSAN's LICENSE and ANNOTATIONS files say of its single recordings.

A LICENSE file holds blocks between lines of ``=``: ids, titles, authors, one licence, a page. Three
of the nine name no ids (all of the folder is in the public domain), and ``music/rfm`` names its
licence once, in a first block without ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.corpora.licences import named_in

_ID = re.compile(r"^\s*((?:noise|speech|music)-[a-z-]+-\d{4})\s*$")
_RULE = re.compile(r"^\s*={5,}\s*$")
_AUTHOR = re.compile(r"^Recorded(?: by)?:? +(.+?)\s*$", re.IGNORECASE)
_BACKGROUND = "background noises:"


@dataclass(frozen=True)
class Credits:
    """What a LICENSE file says.

    Attributes:
        ids: every id that it names, in its order.
        licences: licence by id; ids without a licence of their own or of the folder are left out.
        authors: who recorded it, by id, where said.
        default: licence of the folder's ids that are not named; empty where there is none.
    """

    ids: tuple[str, ...]
    licences: dict[str, str]
    authors: dict[str, str]
    default: str


def read_credits(text: str) -> Credits:
    """Parse a LICENSE file; an id that it names twice keeps what was said first."""
    every: dict[str, None] = {}
    licences: dict[str, str] = {}
    authors: dict[str, str] = {}
    default = ""
    for block in _blocks(text):
        ids = [match[1] for line in block if (match := _ID.match(line))]
        licence = _block_licence(block)
        author = next((match[1] for line in block if (match := _AUTHOR.match(line))), "")
        if not ids:
            default = default or licence
        every.update(dict.fromkeys(ids))
        for clip_id in ids:
            if licence or default:
                licences.setdefault(clip_id, licence or default)
            if author:
                authors.setdefault(clip_id, author)
    return Credits(tuple(every), licences, authors, default)


def _blocks(text: str) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in text.split("\n"):
        if _RULE.match(line):
            blocks.append([])
        elif line.strip():
            blocks[-1].append(line)
    return [block for block in blocks if block]


def _block_licence(block: list[str]) -> str:
    """Return the licence of the block: of a line that says so, else of the first that names one.

    Titles come before the licence and could hold its words.
    """
    said = [line for line in block if re.search(r"licen[sc]e", line, re.IGNORECASE)]
    return next((found for line in [*said, *block] if (found := named_in(line))), "")


def background_ids(text: str) -> frozenset[str]:
    """Return the ids that stand below ``Background noises:`` in an ANNOTATIONS file."""
    lines = [line.strip() for line in text.split("\n")]
    start = next((i for i, line in enumerate(lines) if line.lower() == _BACKGROUND), len(lines))
    return frozenset(line for line in lines[start:] if _ID.match(line))


def annotated_artists(text: str) -> dict[str, str]:
    """Return the artist by id of a music ANNOTATIONS file: ``id genres vocals Artist_Name …``."""
    rows = [line.split() for line in text.split("\n")]
    return {
        cells[0]: cells[3].replace("_", " ")
        for cells in rows
        if len(cells) >= 4 and cells[0].startswith("music-") and cells[2] in ("Y", "N")
    }
