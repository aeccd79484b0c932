"""Two teams for the tests of frozen sets: team A's set, and a faulty copy of team B's."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from click.testing import CliRunner, Result
from tiny_corpora import Corpora

from pipeline.cli import prep


def run(*arguments: object, code: int = 0) -> Result:
    """Run prep and expect an exit status."""
    done = CliRunner().invoke(prep, [str(a) for a in arguments], prog_name="prep")
    assert done.exit_code == code, done.output
    return done


def build(corpora: Corpora, out: Path, *options: object) -> Path:
    """Build 12 examples in 4 shards, no halves, one noise each, no band limit."""
    run("build-shards", "--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}",
        "--split", "train", "--halves", "none", "--band-limit", "off", "--snr", "10:-10:-10",
        "--examples-per-shard", 3, "--jobs", 1, *options, "--out", out)  # fmt: skip
    return out


def roots(corpora: Corpora) -> tuple[str, ...]:
    return ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")


def thaw(recipe: Path, team: Corpora, out: Path, *options: object, code: int = 0) -> dict[str, Any]:
    """Thaw and return what ``--json`` says."""
    arguments = ("thaw", recipe, *roots(team), "--out", out, "--jobs", 1, "--json", *options)
    record: dict[str, Any] = json.loads(run(*arguments, code=code).stdout)
    return record


def copied(corpora: Corpora, root: Path) -> Corpora:
    """Copy corpora so that a test may change them."""
    return Corpora(
        Path(shutil.copytree(corpora.music, root / "music")),
        Path(shutil.copytree(corpora.noise, root / "noise")),
        corpora.musan,
    )


def rows(recipe: Path) -> list[dict[str, Any]]:
    """Read a recipe's plan with json alone."""
    return [json.loads(line) for line in (recipe / "plan.jsonl").read_text().splitlines()]


def reseal(recipe: Path, **files: bytes) -> Path:
    """Replace files of a recipe and write the manifest anew, as a forger would.

    Names are given with ``__`` for the dot: ``plan__jsonl=...``.
    """
    for name, data in files.items():
        (recipe / name.replace("__", ".")).write_bytes(data)
    lines = [
        f"{hashlib.sha256((recipe / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(p.name for p in recipe.iterdir() if p.name != "manifest-sha256.txt")
    ]
    (recipe / "manifest-sha256.txt").write_text("".join(lines))
    return recipe


def canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def restate(recipe: Path, plan: list[dict[str, Any]], **header: Any) -> Path:
    """Write other rows and header fields, with the id that such a recipe would have."""
    record = json.loads((recipe / "recipe.json").read_bytes()) | header
    lines = [canonical(row) for row in plan]
    head = {k: record[k] for k in ("format", "format_version", "config", "tags")}
    digest = hashlib.sha256(canonical(head) + b"".join(lines)).hexdigest()
    record["recipe_id"] = digest
    return reseal(recipe, recipe__json=canonical(record), plan__jsonl=b"".join(lines))


@dataclass(frozen=True)
class TeamB:
    """A copy with faults, and what each does to a source: by (role, clip id)."""

    corpora: Corpora
    states: dict[tuple[str, str], str]


def rewritten(path: Path, target: Path, **attributes: str) -> None:
    """Write the same samples with tags; the bytes differ, what decodes does not."""
    info = soundfile.info(path)
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(
        target, "w", rate, samples.shape[1], info.subtype, format=info.format
    ) as file:
        for name, value in attributes.items():
            setattr(file, name, value)
        file.write(samples)
    assert target.read_bytes() != path.read_bytes()


def team_b(corpora: Corpora, root: Path) -> TeamB:
    """Copy team A's corpora renamed, with files missing, retagged, re-encoded, cut short."""
    music, noise = root / "music", root / "noise"
    shutil.copytree(corpora.music, music)
    shutil.copytree(corpora.noise, noise)
    (music / "metadata.csv").unlink()
    states = {}

    def fault(role: str, clip_id: str, state: str) -> Path:
        states[role, clip_id] = state
        folder = music if role == "music" else noise
        (path,) = folder.glob(f"{clip_id}.*")
        return path

    (music / "clips/clip00.wav").rename(music / "Other Name.wav")  # found by content
    (music / "moved").mkdir()
    (music / "clips/clip05.wav").rename(music / "moved/clip05.wav")  # found by its bare name
    fault("music", "clips/clip01", "missing").unlink()
    path = fault("music", "clips/clip02", "other")  # re-encoded, lossy
    samples, rate = soundfile.read(path)
    soundfile.write(path.with_suffix(".ogg"), samples, rate)
    path.unlink()
    path = fault("music", "clips/clip03", "other")  # cut short
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples[: len(samples) // 2], rate)
    path = fault("music", "clips/clip04", "retagged")
    rewritten(path, root / "tagged.flac", title="a title", artist="an artist")
    (root / "tagged.flac").replace(path)
    path = fault("music", "clips/clip09", "retagged")  # and renamed: found by sound
    rewritten(path, music / "09 - Song.flac", title="another title")
    path.unlink()
    fault("noise", "noise0", "missing").unlink()
    path = fault("noise", "noise4", "retagged")
    rewritten(path, root / "tagged.wav", comment="a comment")
    (root / "tagged.wav").replace(path)
    path = fault("noise", "noise5", "other")  # resampled
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.repeat(samples, 2, axis=0), 2 * rate)
    (noise / "noise6.wav").rename(noise / "a noise.wav")
    return TeamB(Corpora(music, noise, corpora.musan), states)


def expected_verdicts(
    plan: list[dict[str, Any]], states: dict[tuple[str, str], str]
) -> dict[str, tuple[str, str]]:
    """Return verdict and source of every example, from the faults alone."""
    order = ["same", "retagged", "other", "missing"]
    found = {}
    for row in plan:
        sources = [("music", row["music"]["clip_id"])]
        sources += [("noise", noise["clip_id"]) for noise in row["noises"]]
        worst = max((states.get(source, "same") for source in sources), key=order.index)
        verdict = {"other": "differs", "missing": "missing"}.get(worst, "identical")
        found[row["key"]] = (verdict, worst)
    return found
