"""Licence texts as they occur in MUSAN's LICENSE files, audio_licenses.txt and user tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.licences import named_in, spdx
from pipeline.frozen.licence_policy import refusal
from pipeline.frozen.rows import FrozenSource


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/", "CC-BY-NC-SA-3.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.en", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by/3.0/us/", "CC-BY-3.0-US"),
        ("see http://creativecommons.org/licenses/by-nd-nc/1.0/.", "CC-BY-NC-ND-1.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "Public-Domain"),
        ("http://creativecommons.org/licenses/publicdomain/", "Public-Domain"),
        ("http://creativecommons.org/licenses/sampling+/1.0/", "CC-SAMPLING+-1.0"),
        ("Attribution-ShareAlike 3.0 Unported (CC BY-SA 3.0)", "CC-BY-SA-3.0"),
        ("Attribution-NoDerivfff.0 Unported (CC BY-ND 3.0)", "CC-BY-ND-3.0"),
        ("License:CC BY-SA 3.0 DE", "CC-BY-SA-3.0-DE"),
        ("CC BY 3.0", "CC-BY-3.0"),
        ("License: Attribution 3.0 ", "CC-BY-3.0"),
        ("X by Y is licensed under a Attribution License.", "CC-BY"),
        ("X is licensed under a Creative Commons Attribution License.", "CC-BY"),
        ("under a Attribution-Share Alike 3.0 United States License.", "CC-BY-SA-3.0-US"),
        ("under a Attribution-ShareAlike 2.5 Portugal License.", "CC-BY-SA-2.5-PT"),
        ("under a Attribution-NoDerivatives 3.0 International License.", "CC-BY-ND-3.0"),
        ("Attribution-NonCommercial-NoDerivs 4.0", "CC-BY-NC-ND-4.0"),
        ("Attribution-Noncommercial-Share Alike 3.0", "CC-BY-NC-SA-3.0"),
        ("is licensed under a Public Domain Mark 1.0 License.", "Public-Domain"),
        ("License:Public Domain", "Public-Domain"),
        ("CC0", "CC0-1.0"),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-SA-4.0"),
        ("Recorded by Joe", ""),
        ("all rights reserved", ""),
        ("Accordion by Byron", ""),
        ("", ""),
    ],
)
def test_what_a_line_of_a_corpus_names(text: str, expected: str) -> None:
    assert named_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://creativecommons.org/licenses/by/4.0/deed.en", "CC-BY-4.0"),
        ("creativecommons.org/licenses/by-nc-nd/4.0/legalcode", "CC-BY-NC-ND-4.0"),
        ("Attribution-ND", "CC-BY-ND"),
        ("Attribution-NC-ND", "CC-BY-NC-ND"),
        ("CC BY\u2013NC\u2013ND 4.0", "CC-BY-NC-ND-4.0"),
        ("CC-BY_NC_ND", "CC-BY-NC-ND"),
        ("CC BY/NC/ND", "CC-BY-NC-ND"),
        ("CC BY (non-commercial, no derivatives)", "CC-BY-NC-ND"),
        ("Attribution, NonCommercial, NoDerivs", "CC-BY-NC-ND"),
        ("CC BY-NCND 4.0", "CC-BY-NC-ND-4.0"),
        ("Attribution-ShareAlike 3.0 Unported (CC BY-SA 3.0)", "CC-BY-SA-3.0"),
        ("licensed under a Creative Commons Attribution 4.0 International License.", "CC-BY-4.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("in the public domain", "Public-Domain"),
        ("CC BY 3.0 US", "CC-BY-3.0-US"),
    ],
)
def test_what_a_user_s_table_says(text: str, expected: str) -> None:
    assert spdx(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Proprietary; attribution required, redistribution forbidden",
        "All rights reserved. No attribution licence granted",
        "not in the public domain",
        "not creativecommons.org/licenses/by/4.0/",
        "Attribution 3.0 Unported (CC BY-ND 3.0)",
        "CC BY 4.0, but no derivatives",
        "CC BY 4.0 ND",
        "CC BY+ND",
        "CC BY; ND",
        "CC BY no remixes",
        "no CC0",
        "CC BY-NonDerivative",
    ],
)
def test_what_says_more_than_a_name_is_no_licence_to_share(text: str) -> None:
    assert spdx(text) == ""
    source = FrozenSource("noise", "folder", "a", "0" * 64, text, "", (), None, None)
    assert "is no licence that is known to permit it" in refusal(source)


@pytest.mark.parametrize("terms", ["", "-nc", "-sa", "-nd", "-nc-sa", "-nc-nd"])
@pytest.mark.parametrize("version", ["1.0", "2.5", "4.0"])
def test_url_short_and_long_name_agree(terms: str, version: str) -> None:
    words = {"nc": "NonCommercial", "sa": "ShareAlike", "nd": "NoDerivatives"}
    long = "-".join(["Attribution", *(words[t] for t in terms.split("-") if t)])
    expected = f"CC-BY{terms.upper()}-{version}"
    assert spdx(f"http://creativecommons.org/licenses/by{terms}/{version}/") == expected
    assert spdx(f"CC BY{terms.upper()} {version}") == expected
    assert spdx(f"{long} {version}") == expected
    assert spdx(expected) == expected


@given(st.text())
def test_never_fails_and_keeps_its_own_ids(text: str) -> None:
    assert spdx(text) in ("", named_in(text))
    found = named_in(text)
    assert found == "" or spdx(found) == found or found.startswith("CC-")
