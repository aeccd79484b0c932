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
_URL_AROUND = re.compile(
    r"(?:https?://)?(?:www\.)?|/?(?:(?:deed|legalcode)(?:\.[\w-]+)?)?", re.ASCII
)
_BREAKS = re.compile(r"[\s_/,:()\u2010-\u2015\u2212-]+")
"""What stands between the parts of a name: all kinds of dashes and blanks are one blank."""
_TERMS = (
    r"((?: (?:(?:NC|SA|ND)+\b|non ?commercial\b|share ?alike\b"
    r"|no ?deriv(?:ative)?s?(?: works)?\b))*)"
)
_VERSION = r"(?: v?(\d\.\d)\b)?"
_PORT = r"(?: (?:International|Unported|Generic)\b)?"
_STATE = (
    r"(?: (United States|Portugal|Germany|France|(?-i:(?!(?:BY|CC|NC|ND|NO|SA)\b)[A-Z]{2,3}\b)))?"
)
_SHORT = re.compile(rf"\bCC ?BY\b{_TERMS}{_VERSION}{_PORT}{_STATE}", re.IGNORECASE)
_LONG = re.compile(rf"\battribution\b{_TERMS}{_VERSION}{_PORT}{_STATE}", re.IGNORECASE)
_ZERO = re.compile(r"\bCC ?(?:0|zero)\b", re.IGNORECASE)
_PUBLIC = re.compile(r"\bpublic domain\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:licen[cs]ed?(?: under)? )?(?:(?:an?|the) )?(?:in the )?(?:Creative Commons |CC )?",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?: mark| dedication)?(?: 1\.0)?(?: universal)?(?: public)?(?: licen[cs]e)?\.?", re.IGNORECASE
)
_COUNTRIES: Final = {"UNITED STATES": "US", "PORTUGAL": "PT", "GERMANY": "DE", "FRANCE": "FR"}


def spdx(text: str) -> str:
    """Return the id of the licence that a text *is*, or an empty text where it is more or less.

    For what a user writes in a table: a name or URL with other words around it may take back what
    the name grants ("not in the public domain"), so it is no id, and nobody's licence to share.
    """
    text = text.strip()
    if match := _URL.search(text):
        before, after = text[: match.start()], text[match.end() :]
        bare = _URL_AROUND.fullmatch(before) and _URL_AROUND.fullmatch(after)
        return _named_by_url(match) if bare else ""
    plain = _plain(text)
    if found := _whole(plain):
        return found
    # "Attribution 3.0 Unported (CC BY 3.0)": both names of one licence
    long, _, short = plain.partition(" CC ")
    first, second = _whole(long), _whole(f"CC {short}")
    return second if first and _terms(first) == _terms(second) else ""


def named_in(line: str) -> str:
    """Return the id of the licence that a line of a corpus' own licence file names, else empty.

    A URL decides over a name, and a short name (CC BY-SA 3.0) over a long one. Order of the terms
    is BY, NC, SA or ND, as in SPDX, whatever the order in the text.
    """
    if match := _URL.search(line):
        return _named_by_url(match)
    plain = _plain(line)
    for name in (_ZERO, _SHORT, _LONG, _PUBLIC):
        if match := name.search(plain):
            return _id(match)
    return ""


def _plain(text: str) -> str:
    return _BREAKS.sub(" ", text).strip()


def _whole(plain: str) -> str:
    """Return the id of a name with nothing around it but "a Creative Commons … license"."""
    for name in (_ZERO, _SHORT, _LONG, _PUBLIC):
        match = name.search(plain)
        if match and _BEFORE.fullmatch(plain[: match.start()]):
            rest = plain[match.end() :]
            return _id(match) if _AFTER.fullmatch(rest) else ""
    return ""


def _id(match: re.Match[str]) -> str:
    if match.re is _ZERO:
        return "CC0-1.0"
    if match.re is _PUBLIC:
        return PUBLIC_DOMAIN
    words, version, country = match.groups(default="")
    words, country = words.upper().replace(" ", ""), country.upper()
    spelled = {"NC": "NC|NONCOMM", "SA": "SA|SHAREALIKE", "ND": "ND|NODERIV"}
    terms = " ".join(term for term, word in spelled.items() if re.search(word, words))
    return _join(terms, version, _COUNTRIES.get(country, country))


def _terms(licence: str) -> set[str]:
    return {"BY", "NC", "SA", "ND"} & set(licence.split("-"))


def _named_by_url(match: re.Match[str]) -> str:
    terms, version, country = match.groups(default="")
    return _from_url(terms.lower(), version, country.upper())


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
