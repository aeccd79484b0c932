"""A recipe is from a stranger: what is not as it should be is refused with a line, never worse."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from frozen_teams import build, canonical, reseal, restate, roots, rows, run
from tiny_corpora import Corpora

from manifests.errors import ManifestError
from pipeline.cli import prep
from pipeline.frozen.load import load_recipe
from pipeline.frozen.untrusted import printable
from pipeline.stages.verify_recipe import verify_recipe


@pytest.fixture(scope="module")
def good(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    build(corpora, root / "set", "--limit", 4)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


@pytest.fixture
def recipe(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "tiny.v1"))


def refused(recipe: Path, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_recipe(str(recipe))
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message) < 2000
    done = CliRunner().invoke(prep, ["thaw", str(recipe), "--out", str(recipe.parent / "out")])
    assert done.exit_code == 1 and "unexpected" not in done.output, done.output
    assert not (recipe.parent / "out").exists()


def edited(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets a value deep in a row, e.g. ``music.start_s``."""

    def edit(row: dict[str, Any]) -> None:
        *folders, name = path.split(".")
        for part in folders:
            row = row[int(part)] if part.isdecimal() else row[part]
        row[int(name) if name.isdecimal() else name] = value

    return edit


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("key", "../../etc/passwd", "expected [a-z0-9_-]"),
        ("key", "x" * 81, "1 to 80 characters"),
        ("shard", 7, "expected shard 0 or the next, got 7"),
        ("shard", -1, "expected a shard number"),
        ("domain", "both", "expected source, target or null"),
        ("tags", ["no such tag"], "expected tags of the recipe's vocabulary"),
        ("music.corpus", "../mtat", "expected the name of a corpus"),
        ("music.clip_id", "", "expected a clip id"),
        ("music.n_samples", 1 << 40, "expected 1 to 2**28 samples"),
        ("music.n_samples", 0, "expected 1 to 2**28 samples"),
        ("music.source_rate", 0, "expected 4000 to 384000 Hz"),
        ("music.start_s", -1.0, "expected a start of 0 s or later"),
        ("music.start_s", 1e300, "expected a start of 0 s or later"),
        ("noises.0.level_db", 1e9, "expected a level within"),
        ("noises.0.source_rate", 1 << 70, "64 bits"),
        ("gain_db", 6.0, "at most 0 dB"),
        ("mix_gains_db", [0.0], "expected a gain per SNR"),
        ("mix_gains_db", [1e6, 0.0, 0.0], "expected gains within"),
        ("pcm_sha256", ["0" * 64], "expected 4 hashes"),
        ("pcm_sha256.0", "z" * 64, "expected SHA-256 in hex"),
        ("noises", [], "expected 1 noises, got 0"),
        ("music", "a text", "expected dict"),
        ("more", 1, "unknown ['more']"),
    ],
)
def test_a_row_with_illegal_values_is_refused(
    recipe: Path, path: str, value: Any, said: str
) -> None:
    """Each is sealed with the right hashes and the right id, as a forger would."""
    plan = rows(recipe)
    edited(path, value)(plan[0])
    refused(restate(recipe, plan), said)


def test_keys_twice_shards_apart_and_no_rows_are_refused(recipe: Path) -> None:
    plan = rows(recipe)
    refused(restate(recipe, [*plan, plan[-1]]), "expected each key once")
    refused(restate(recipe, []), "expected examples, got none")
    refused(restate(recipe, plan[:2]), "expected the sources that plan.jsonl uses")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("format", "zip", "expected format robust-tagger-recipe"),
        ("format_version", 2, "expected format version 1, got 2"),
        ("name", "../x.v1", "expected a name such as NAME.v1"),
        ("tags", ["a", "a"], "expected each tag once"),
        ("more", 1, "unknown ['more']"),
    ],
)
def test_a_header_with_illegal_values_is_refused(
    recipe: Path, field: str, value: Any, said: str
) -> None:
    refused(restate(recipe, rows(recipe), **{field: value}), said)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("codec", "pickle", "expected flac, wav"),
        ("resampler", "os.system", "expected soxr"),
        ("decoder", "pipe:", "expected soundfile, ffmpeg"),
        ("band_hz", 1e9, "band_hz: expected"),
        ("snrs_db", [10.0, 10.0, 10.0], "expected different values"),
        ("snrs_db", [1e9, 0.0, 1.0], "±60 dB"),
        ("noises", 1 << 40, "at most 16"),
        ("keep_dc", "yes", "expected bool"),
    ],
)
def test_a_config_with_illegal_values_is_refused(
    recipe: Path, field: str, value: Any, said: str
) -> None:
    config = json.loads((recipe / "recipe.json").read_bytes())["config"]
    refused(restate(recipe, rows(recipe), config=config | {field: value}), said)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("path", "/etc/passwd", "a path below the corpus root"),
        ("path", "../../x.wav", "a path below the corpus root"),
        ("path", "pipe:cat /etc/passwd", "a path below the corpus root"),
        ("path", "http://example.org/x.wav", "a path below the corpus root"),
        ("n_bytes", -1, "a size in bytes"),
        ("sha256", "x", "SHA-256 in hex"),
        ("role", "both", "music or noise"),
    ],
)
def test_a_source_with_illegal_values_is_refused(
    recipe: Path, field: str, value: Any, said: str
) -> None:
    lines = [json.loads(line) for line in (recipe / "sources.jsonl").read_bytes().splitlines()]
    lines[0][field] = value
    refused(reseal(recipe, sources__jsonl=b"".join(map(canonical, lines))), said)


def test_another_form_of_the_same_json_is_refused(recipe: Path) -> None:
    header = json.loads((recipe / "recipe.json").read_bytes())
    good = canonical(header)
    forms = [json.dumps(header).encode(), good.strip(), good.replace(b"10.0", b"10.00")]
    for data in (*forms, b"\xef\xbb\xbf{}", b"[" * 9999, b"NaN\n", b'{"a":1,"a":1}\n'):
        refused(reseal(recipe, recipe__json=data), "recipe.json")
    (recipe / "recipe.json").write_bytes(canonical(header))
    plan = (recipe / "plan.jsonl").read_bytes()
    refused(reseal(recipe, plan__jsonl=plan.rstrip(b"\n")), "cut short")
    refused(reseal(recipe, plan__jsonl=plan.replace(b",", b", ", 1)), "expected canonical JSON")
    refused(reseal(recipe, plan__jsonl=b'"' + b"a" * (2 << 20) + b'"\n'), "expected at most")


def test_files_that_are_no_plain_ones_or_too_large_are_refused(recipe: Path) -> None:
    (recipe / "plan.jsonl").rename(recipe.parent / "elsewhere")
    (recipe / "plan.jsonl").symlink_to(recipe.parent / "elsewhere")
    refused(recipe, "expected a plain file, got a link")
    (recipe / "plan.jsonl").unlink()
    os.mkfifo(recipe / "plan.jsonl")
    refused(recipe, "expected a plain file, got something else")
    (recipe / "plan.jsonl").unlink()
    (recipe.parent / "elsewhere").rename(recipe / "plan.jsonl")
    with (recipe / "recipe.json").open("r+b") as file:
        file.truncate(64 << 20)  # sparse: nothing on disk, all in memory if it were read
    refused(recipe, "recipe.json: expected at most")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{'0' * 64}  ../../etc/passwd\n", "no folder"),
        (f"{'0' * 64}  /etc/passwd\n", "no folder"),
        (f"{'0' * 63}g  x\n", "expected 'SHA-256  NAME'"),
        (f"{'0' * 64} x\n", "expected 'SHA-256  NAME'"),
        (f"{'0' * 64}  plan.jsonl\n", "stands twice"),
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(recipe: Path, line: str, said: str) -> None:
    with (recipe / "manifest-sha256.txt").open("a") as file:
        file.write(line)
    refused(recipe, said)


def test_a_changed_byte_anywhere_is_found(recipe: Path, good: Path) -> None:
    for path in sorted(recipe.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        try:
            problems: tuple[str, ...] = verify_recipe(str(recipe)).problems
        except ManifestError as error:
            problems = (str(error),)
        assert problems, path.name
        path.write_bytes(data)
    assert not verify_recipe(str(recipe)).problems


def test_gains_that_would_clip_are_a_verdict_not_a_crash(recipe: Path, corpora: Corpora) -> None:
    plan = rows(recipe)
    plan[0]["mix_gains_db"] = [300.0, 300.0, 300.0]
    done = run("thaw", restate(recipe, plan), *roots(corpora), "--out", recipe.parent / "out",
               "--jobs", 1, "--json", code=1)  # fmt: skip
    verdicts = {v["key"]: v for v in json.loads(done.stdout)["verdicts"]}
    assert verdicts[plan[0]["key"]]["verdict"] == "differs"
    assert "at most 1 - 1/32768" in verdicts[plan[0]["key"]]["detail"]


def test_texts_from_elsewhere_cannot_write_on_the_terminal(recipe: Path) -> None:
    plan = rows(recipe)
    plan[0]["music"]["song"] = "\x1b[2J\x1b]0;owned\x07\n=cmd|' /C calc'!A0"
    done = run("explain", restate(recipe, plan), plan[0]["key"])
    assert "\x1b" not in done.output and "\x07" not in done.output
    assert printable("a\u202eb\x00" + "c" * 999) == "a\ufffdb\ufffd" + "c" * 195 + "…"


def test_formulas_stay_text_in_the_attribution(corpora: Corpora, tmp_path: Path) -> None:
    shutil.copytree(corpora.music, tmp_path / "music")
    table = tmp_path / "music/metadata.csv"
    table.write_text(table.read_text().replace("artist1", '"=HYPERLINK(""http://x"")"'))
    evil = Corpora(tmp_path / "music", corpora.noise, corpora.musan)
    build(evil, tmp_path / "set", "--limit", 12)
    run("freeze", tmp_path / "set", "-o", tmp_path / "evil.v1", "--jobs", 1)
    text = (tmp_path / "evil.v1/attribution.csv").read_text()
    assert "'=HYPERLINK" in text and ",=" not in text and ',"=' not in text


def test_a_url_in_place_of_a_recipe_runs_nothing(tmp_path: Path) -> None:
    for url in ("pipe:touch hacked", "pipe://touch hacked", "data://x", "simplecache::file://x"):
        done = run("thaw", url, "--out", tmp_path / "out", code=2)
        assert "refused" in done.output
    assert not list(tmp_path.iterdir())
