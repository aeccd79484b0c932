"""Licence texts and URLs as short SPDX-like ids.

The ids follow the SPDX list (``CC-BY-NC-SA-3.0``, ``CC0-1.0``, ``CC-BY-3.0-US``). Beyond it: a
Creative Commons name without a version stays without one (``CC-BY``), jurisdictions that SPDX does
not list keep their code, and works in the public domain are ``Public-Domain``.
"""

from __future__ import annotations

import re
from typing import Final

PUBLIC_DOMAIN: Final = "Public-Domain"

_URL = re.compile(
    r"creativecommons\.org/(?:licenses|publicdomain)/([a-z+-]+)"
    r"(?:/(\d\.\d))?(?:/([a-z]{2,3})(?=[/\s]|$))?",
    re.IGNORECASE,
)
_ZERO = re.compile(r"\bCC[ -]?(?:0|zero)\b", re.IGNORECASE)
_SHORT = re.compile(
    r"\b(?i:CC[ -]BY)((?i:[ -](?:NC|SA|ND))*)(?:[ -](\d\.\d))?(?:[ -]([A-Z]{2})\b)?"
)
_LONG = re.compile(
    r"\battribution((?:[\s-]*(?:non[\s-]?commercial|share[\s-]?alike|no[\s-]?deriv[a-z]*))*)"
    r"\s*(\d\.\d)?\s*(united states|portugal|germany|france)?",
    re.IGNORECASE,
)
_COUNTRIES: Final = {"united states": "US", "portugal": "PT", "germany": "DE", "france": "FR"}


def spdx(text: str) -> str:
    """Return the id of the licence that a line names, or an empty text where it names none.

    A URL decides over a name, and a short name (CC BY-SA 3.0) over a long one. Order of the terms
    is BY, NC, SA or ND, as in SPDX, whatever the order in the text.
    """
    if match := _URL.search(text):
        terms, version, country = match.groups()
        return _from_url(terms.lower(), version or "", (country or "").upper())
    if _ZERO.search(text):
        return "CC0-1.0"
    if match := _SHORT.search(text):
        return _join(match[1].upper(), match[2] or "", match[3] or "")
    if match := _LONG.search(text):
        words = match[1].lower()
        terms = "".join(
            f"-{term}" for term, word in (("NC", "non"), ("SA", "share"), ("ND", "no"))
            if re.search(rf"(?<![a-z]){word}(?:[\s-]?(?:commercial|alike|deriv))", words)
        )  # fmt: skip
        return _join(terms, match[2] or "", _COUNTRIES.get((match[3] or "").lower(), ""))
    if re.search(r"public[ -]domain", text, re.IGNORECASE):
        return PUBLIC_DOMAIN
    return ""


def _from_url(terms: str, version: str, country: str) -> str:
    if terms == "zero":
        return f"CC0-{version or '1.0'}"
    if terms in ("mark", "publicdomain"):
        return PUBLIC_DOMAIN
    if not terms.startswith("by"):
        return "-".join(part for part in ("CC", terms.upper(), version, country) if part)
    return _join(terms[2:].upper(), version, country)


def _join(terms: str, version: str, country: str) -> str:
    present = re.split(r"[ -]", terms)
    ordered = [term for term in ("NC", "SA", "ND") if term in present]
    return "-".join(part for part in ("CC", "BY", *ordered, version, country) if part)
