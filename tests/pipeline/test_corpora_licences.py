"""Licence texts as they occur in MUSAN's LICENSE files, audio_licenses.txt and user tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.licences import spdx


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
def test_known_texts(text: str, expected: str) -> None:
    assert spdx(text) == expected


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
    found = spdx(text)
    assert found == "" or spdx(found) == found or found.startswith("CC-")
