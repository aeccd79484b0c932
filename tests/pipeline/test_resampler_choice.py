"""Resamplers that cannot do what is asked: known when it is asked, or a reject of the plan."""

from __future__ import annotations

import shutil

import pytest
from prep_runner import run_prep
from tiny_clips import NO_TAGS, clip, noises, scan_of
from tiny_corpora import Corpora, MakePlan, Roots

from manifests.errors import UsageError
from manifests.rows import Clip
from pipeline.config import SetConfig
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.stages.plan import plan_set


@pytest.mark.parametrize("command", ["plan", "build-shards"])
@pytest.mark.parametrize(("option", "program"), [("--resampler", "sox"), ("--decoder", "ffmpeg")])
def test_a_program_that_is_missing_is_wrong_use(
    corpora: Corpora, monkeypatch: pytest.MonkeyPatch, command: str, option: str, program: str
) -> None:
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name: None if name == program else which(name))
    arguments = [command, "--music", f"folder={corpora.music}", "--noise", "none", option, program]
    arguments += ["--out", "/nowhere/set"] if command == "build-shards" else []
    done = run_prep(*arguments)
    assert done.status == 2
    assert f"{option} {program}: the {program} " in done.err


def planned(resampler: str, *clips: Clip) -> Plan:
    config = SetConfig(
        music=("folder",), noise=("folder",), resampler=resampler, halves="none", noises=2
    )
    odd = [found for found in clips if found.split == "any"]
    music = [found for found in clips if found.split == "train"]
    scans = [scan_of([clip("good"), *music])], [scan_of([*noises(2), *odd])]
    return plan_set(config, *scans, NO_TAGS, band_hz=None)


@pytest.mark.parametrize(
    ("resampler", "fields", "detail"),
    [
        ("torchaudio", {"source_rate": 44_101}, "torchaudio: 44101 Hz to 22050 Hz: expected a ke"),
        ("sox", {"source_rate": 44_100, "peak": 2.5}, "sox: expected a peak of at most 2.0, got 2"),
    ],
)
def test_what_a_resampler_cannot_take_is_a_reject(
    resampler: str, fields: dict[str, float], detail: str
) -> None:
    odd = [clip("m", 20.0, **fields), clip("n", 20.0, split="any", **fields)]
    plan = planned(resampler, *odd)
    assert {reject.path: reject.reason for reject in plan.rejects} == {
        "m.wav": "not-resampled",
        "n.wav": "not-resampled",
    }
    assert plan.rejects[0].detail.startswith(f"n.wav: {detail}")
    assert plan.rejects[0].detail.endswith("; use --resampler soxr")
    assert [row.music.path for row in plan.rows] == ["good.wav"]
    assert "n.wav" not in {noise.path for noise in plan.rows[0].noises}
    assert planned("soxr", *odd).rejects == ()


def test_wrong_use_stays_wrong_use_while_rendering(
    make_plan: MakePlan,
    roots: Roots,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def fail(*_: object) -> None:
        raise UsageError("--resampler sox: the sox program is not found")

    monkeypatch.setattr("pipeline.shard_task.render", fail)
    with pytest.raises(UsageError, match=r"^--resampler sox: "):
        build_set(make_plan(limit=1), str(tmp_path_factory.mktemp("set") / "set"), roots)
