"""``prep report`` on real little sets: the page holds what the set holds, and nothing from outside.

Figures are recomputed here from the shards' JSON sidecars, which the report does not read.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from report_sets import EVIL, EVIL_FILE, RATE, Page, build_sets, run

from manifests.shard import iter_examples
from pipeline.stages.report import report_set


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sets(tmp_path_factory.mktemp("report"), ("pairs", "one", "real", "bare"))


@pytest.fixture(scope="module")
def page(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "pairs.html"
    report_set(str(sets / "pairs"), out=str(out), n_examples=2)
    return out.read_text(encoding="utf-8")


def sidecars(folder: Path) -> list[dict]:  # type: ignore[type-arg]
    records = []
    for path in sorted(folder.glob("shard-*.json")):
        records += [entry["record"] for entry in json.loads(path.read_text())["examples"]]
    return records


def members(folder: Path) -> dict[str, dict[str, bytes]]:
    found = {}
    for path in sorted(folder.glob("shard-*.tar")):
        with path.open("rb") as file:
            found |= dict(iter_examples(file, path.name))
    return found


def test_nothing_comes_from_outside(page: str) -> None:
    parsed = Page(page)
    for tag, attributes in parsed.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}, tag
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
            value = attributes.get(name, "data:")
            assert value.startswith(("data:", "#")), f"{tag} {name}={value[:60]}"
    assert "@import" not in parsed.style
    urls = re.findall(r"url\(([^)]*)\)", page)
    assert all(url.strip("'\"").startswith("#") for url in urls)
    assert not re.search(r"https?://", page)
    policy = [a["content"] for a in parsed.all("meta") if "http-equiv" in a]
    assert policy and "default-src 'none'" in policy[0] and "script" not in policy[0]


def test_others_texts_are_escaped(page: str) -> None:
    assert EVIL not in page and EVIL_FILE not in page and '"<b>"' not in page
    text = Page(page).text
    assert EVIL in text and EVIL_FILE in text and 'A "<b>" & Co' in text


def test_figures_players_and_contents_are_there(page: str) -> None:
    parsed = Page(page)
    titles = {"Achieved − target SNR", "SNR of single chunks", "Noisy against clean level",
              "AUC of each cue, as stored", "AUC of each cue, as the trainer hears it",
              "Duration of examples", "Examples per song"}  # fmt: skip
    assert all(title in parsed.text for title in titles)
    images = parsed.all("svg")
    assert len(images) == 7 + 2 * 4
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in images)
    assert len(parsed.all("audio")) == 2 * 4
    assert all(audio["aria-label"] and "controls" in audio for audio in parsed.all("audio"))
    ids = Counter(a["id"] for tag, a in parsed.elements if tag == "section")
    links = [a["href"] for a in parsed.all("a") if a["href"].startswith("#")]
    assert links == [f"#{name}" for name in ids] and max(ids.values()) == 1
    assert not re.search(r"#(0[1-6])\1\1", page), "a marker colour was left"


def test_players_play_the_members_and_pictures_open(sets: Path, page: str) -> None:
    parsed = Page(page)
    stored = members(sets / "pairs")
    for audio in parsed.all("audio"):
        key, title = audio["aria-label"].split(", ")
        name = "clean" if title == "clean" else f"noisy.snr_{title.removesuffix(' dB')}"
        prefix = "data:audio/flac;base64,"
        assert audio["src"].startswith(prefix)
        played, rate = soundfile.read(
            io.BytesIO(base64.b64decode(audio["src"].removeprefix(prefix))), dtype="int16"
        )
        whole, _ = soundfile.read(io.BytesIO(stored[key][f"{name}.flac"]), dtype="int16")
        assert rate == RATE and len(played) == len(whole)  # 6 s are shorter than the limit
        assert np.array_equal(played, whole)
    pictures = [image["href"] for image in parsed.all("image")]
    assert len(pictures) == len(parsed.all("audio"))
    for picture in pictures:
        data = base64.b64decode(picture.removeprefix("data:image/png;base64,"))
        assert data.startswith(b"\x89PNG\r\n")


def test_figures_agree_with_the_sidecars(sets: Path, page: str) -> None:
    folder = sets / "pairs"
    records = sidecars(folder)
    shown = json.loads(run("report", str(folder), "--json").stdout)
    assert shown["page"] is None
    errors = [
        round(m["achieved_db"] - m["target_db"], 6)
        for r in records
        for m in r["members"].values()
        if m["target_db"] is not None
    ]
    found = shown["snr_error_db"]
    assert found["n"] == len(errors) == 15
    assert found["n_within"] == sum(abs(e) <= 0.05 for e in errors) == 15
    assert abs(found["largest_db"]) == pytest.approx(max(abs(e) for e in errors), abs=1e-9)
    assert list(found["by_snr"]) == ["-10", "0", "10"]
    chunks = [c for r in records for c in r["chunk_snr_db"]]
    assert shown["chunk_snr_db"]["spread_db"]["n"] == len(chunks) == 10
    assert shown["chunk_snr_db"]["spread_db"]["median"] == pytest.approx(
        np.median(chunks), abs=6e-4
    )
    tags = Counter(tag for r in records for tag in r["tags"])
    assert {t["name"]: t["examples"] for t in shown["tags"]["kept"]} == tags == {"slow": 5, EVIL: 2}
    for tag in shown["tags"]["kept"]:
        for half in ("source", "target"):
            expected = sum(tag["name"] in r["tags"] and r["domain"] == half for r in records)
            assert tag[half] == expected
    licences = {(u["role"], u["licence"]): u["uses"] for u in shown["licences"]}
    assert licences == {("music", "CC-BY-4.0"): 5, ("noise", "unknown"): 5}
    (group,) = shown["rejects"]["groups"]
    assert (group["reason"], group["count"], group["corpus"]) == ("empty", 1, "folder")
    assert shown["rejects"]["music_share"] == pytest.approx(1 / 6, abs=1e-4)
    head = shown["head"]
    assert head["n_examples"] == head["n_songs"] == 5
    assert head["bytes"] == sum(p.stat().st_size for p in folder.glob("*.tar"))
    assert head["hours"] == pytest.approx(5 * 6 / 3600, abs=1e-4)
    text = Page(page).text
    assert (
        "15 of 15" in text and head["plan_sha256"] in text and "16.7% of the music's clips" in text
    )


def test_levels_agree_with_the_samples(sets: Path) -> None:
    figures = report_set(str(sets / "pairs"), write_page=False).figures
    louder: dict[str, list[float]] = {"10": [], "0": [], "-10": []}
    for files in members(sets / "pairs").values():
        level = {}
        for name in ("clean", *(f"noisy.snr_{s}" for s in louder)):
            samples, _ = soundfile.read(io.BytesIO(files[f"{name}.flac"]))
            level[name] = 10 * np.log10(np.mean(samples**2))
        for snr in louder:
            louder[snr].append(level[f"noisy.snr_{snr}"] - level["clean"])
    for step in figures.levels.steps:
        assert step.louder_db.median == pytest.approx(np.median(louder[step.snr]), abs=2e-3)
        assert step.louder_db.median == pytest.approx(step.expected_db, abs=0.5)


def test_cues_find_what_was_put_in(sets: Path) -> None:
    """White noise under low tones: level tells as stored only, the band above 8 kHz always."""
    cues = report_set(str(sets / "pairs"), write_page=False).figures.cues
    assert (cues.reason, cues.n_examples, cues.n_songs, cues.n_chunks) == ("", 5, 5, 10)
    assert cues.stored is not None and cues.heard is not None
    assert cues.heard.scores["level"]["-10"].auc == 0.5
    assert cues.stored.scores["level"]["-10"].auc > 0.7
    for table in (cues.stored, cues.heard):
        assert table.scores["band above 8 kHz"]["-10"].auc == 1.0
        assert table.scores["silence"]["-10"].auc == 0.5
        assert list(table.scores["peak"]) == ["10", "0", "-10", "all"]


def test_same_page_whatever_the_jobs_and_the_set_untouched(sets: Path, tmp_path: Path) -> None:
    def state() -> dict[str, str]:
        files = sorted((sets / "pairs").rglob("*"))
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}

    before = state()
    for jobs in (1, 2):
        report_set(
            str(sets / "pairs"),
            out=str(tmp_path / f"{jobs}.html"),
            n_examples=1,
            n_sample=9,
            jobs=jobs,
        )
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    assert state() == before


def test_command_writes_into_the_current_folder(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("report", str(sets / "one"), "--examples", "0", "--jobs", "1")
    assert done.exit_code == 0, done.output
    (written,) = tmp_path.iterdir()
    assert written.name == "folder-train-x-folder-k1-report.html"
    assert "SNR within 0.05 dB: 1 of 1" in done.stdout and written.name in done.stdout
    parsed = Page(written.read_text(encoding="utf-8"))
    assert not parsed.all("audio") and "#examples" not in [a["href"] for a in parsed.all("a")]


def test_json_with_a_page(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    done = run("report", str(sets / "real"), "--json", "-o", str(out), "--examples", "1")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["page"] == str(out) and out.is_file()


def test_one_example_says_that_nothing_can_be_validated(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "one.html"
    figures = report_set(str(sets / "one"), out=str(out)).figures
    assert figures.cues.stored is None and figures.rejects.music_share is None
    text = Page(out.read_text(encoding="utf-8")).text
    assert "the sample holds 1 song, and cross-validation by song needs at least 4" in text
    assert "of all clips; the set is limited to a part" in text


def test_recordings_have_no_snr_and_no_cues(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "real.html"
    figures = report_set(str(sets / "real"), out=str(out)).figures
    assert figures.snr_error_db is None and figures.chunk_snr_db is None and figures.noise is None
    parsed = Page(out.read_text(encoding="utf-8"))
    assert "Not applicable: the set holds recordings as they are" in parsed.text
    assert "Level of the recordings: median" in parsed.text
    assert len(parsed.all("audio")) == 5
    assert not {"#snr", "#noise"} & {a["href"] for a in parsed.all("a")}


def test_set_without_tags_and_with_one_snr(sets: Path, tmp_path: Path) -> None:
    out = tmp_path / "bare.html"
    figures = report_set(str(sets / "bare"), out=str(out), n_examples=1).figures
    assert figures.cues.stored is not None and "all" not in figures.cues.stored.scores["level"]
    assert figures.tags.kept == ()
    assert "The set holds no tags." in Page(out.read_text(encoding="utf-8")).text
