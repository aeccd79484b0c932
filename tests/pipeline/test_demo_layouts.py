"""Plans of all demo corpora, and the layouts of MUSAN and the recordings; nothing is rendered."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

import pytest

from manifests.errors import UsageError
from pipeline.demo import plan_demo_corpora
from pipeline.demo.audioset import plan_audioset
from pipeline.demo.mtat import plan_mtat, tag_names
from pipeline.demo.musan import plan_musan
from pipeline.demo.plans import NoiseContent, RecordingContent
from pipeline.demo.recordings import plan_recordings
from pipeline.demo.traits import mtat_tags


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_plans_hold_every_corpus_and_no_path_twice(seed: int) -> None:
    plans = plan_demo_corpora(seed)
    names = ["mtat", "mtg-jamendo", "audioset", "musan", "recordings"]
    assert [plan.corpus for plan in plans] == names
    for one in plans:
        paths = [file.path for file in one.files] + list(one.texts)
        assert len({path.lower() for path in paths}) == len(paths)
        assert all(not path.startswith("/") and ".." not in path for path in paths)
    assert plan_demo_corpora(seed) == plans


def test_other_seeds_give_other_corpora() -> None:
    assert plan_mtat(0).texts != plan_mtat(1).texts
    assert plan_audioset(0).texts != plan_audioset(1).texts


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="--seed: expected 0 or more, got -1"):
        plan_demo_corpora(-1)


def test_musan_has_official_names_and_a_file_without_licence() -> None:
    musan = plan_musan(0)
    folders = Counter(file.path.rsplit("/", 1)[0] for file in musan.files)
    assert folders["noise/free-sound"] + folders["noise/sound-bible"] == 44
    assert sum(n for name, n in folders.items() if name.startswith("speech/")) == 4
    assert sum(n for name, n in folders.items() if name.startswith("music/")) == 4
    noises = [file for file in musan.files if file.path.startswith("noise/")]
    for file in noises:
        part, folder, name = file.path.split("/")
        assert re.fullmatch(rf"{part}-{folder}-\d{{4}}\.wav", name)
        assert file.encoding.sample_rate == 16_000 and isinstance(file.content, NoiseContent)
    lengths = [file.duration_s for file in noises]
    assert min(lengths) == 0.3 and max(lengths) == 20.0
    licensed = set(
        re.findall(r"^noise-sound-bible-\d{4}$", musan.texts["noise/sound-bible/LICENSE"], re.M)
    )
    named = {file.path[-26:-4] for file in noises if "sound-bible" in file.path}
    assert named - licensed == {"noise-sound-bible-0000"} and licensed <= named
    annotations = musan.texts["noise/free-sound/ANNOTATIONS"].splitlines()
    assert annotations[0] == "Background noises:"
    assert {f"noise/free-sound/{name}.wav" for name in annotations[1:]} <= {f.path for f in noises}
    for folder in folders:
        assert f"{folder}/LICENSE" in musan.texts


def test_recordings_are_twenty_files_and_their_tags() -> None:
    recordings = plan_recordings(0)
    paths = [f"recording_{i:02d}.wav" for i in range(20)]
    assert [f.path for f in recordings.files] == paths
    assert list(recordings.texts) == ["metadata.csv"] and recordings.expected_rejects == ()
    rows = list(csv.DictReader(io.StringIO(recordings.texts["metadata.csv"])))
    assert [row["path"] for row in rows] == paths
    found = [set(row["tags"].split("; ")) for row in rows]
    for file, tags in zip(recordings.files, found, strict=True):
        assert isinstance(file.content, RecordingContent)
        assert tags == set(mtat_tags(file.content.music.traits))
    counts = Counter(tag for tags in found for tag in tags)
    assert sum(2 <= n <= 18 for n in counts.values()) >= 15, "most tags can be scored"
    assert set(counts) <= set(tag_names())


def test_every_kind_of_reject_occurs() -> None:
    reasons = {row[2] for one in plan_demo_corpora(0) for row in one.expected_rejects}
    assert reasons == {
        "empty", "truncated", "damaged", "silent", "renamed", "undecodable", "ragged", "missing",
    }  # fmt: skip


def test_more_training_data_leaves_the_rest_as_it_is() -> None:
    once, thrice = plan_demo_corpora(0), plan_demo_corpora(0, train_scale=3)
    for one, three in zip(once, thrice, strict=True):
        assert set(one.files) <= set(three.files), one.corpus
        more = [file.path for file in three.files if file not in set(one.files)]
        assert len({file.path for file in three.files}) == len(three.files)
        if one.corpus == "mtat":
            assert len(more) == 2 * 98 * 3 and {path[0] for path in more} == set("0123456789ab")
        elif one.corpus == "audioset":
            assert len(more) == 2 * 44
            assert all(path.startswith("balanced_train_segments/") for path in more)
        else:
            assert three == one
    stems = [file.path.rsplit("-", 2)[0] for file in thrice[0].files]
    assert len(set(stems)) == 150 + 2 * 98, "no two songs of one name"


def test_songs_to_pretrain_on_change_nothing_else() -> None:
    without, some = plan_demo_corpora(0, 1, 0), plan_demo_corpora(0, 1, 7)
    for one, other in zip(without, some, strict=True):
        if one.corpus != "mtg-jamendo":
            assert other == one
            continue
        assert other.files[: len(one.files)] == one.files
        more = other.files[len(one.files) :]
        assert len({file.path for file in other.files}) == len(one.files) + 7
        assert all(4.5 <= file.duration_s <= 5.0 and not file.breakage for file in more)
        for split in range(5):
            path = f"data/splits/split-{split}/autotagging-{{}}.tsv"
            for part, n in (("train", 7), ("validation", 0), ("test", 0)):
                rows = [len(x.texts[path.format(part)].splitlines()) for x in (one, other)]
                assert rows[1] - rows[0] == n, (split, part)


def test_fewer_songs_than_none() -> None:
    with pytest.raises(UsageError, match=r"--pretrain-songs: expected 0 or more, got -1"):
        plan_demo_corpora(0, pretrain_songs=-1)


def test_less_than_all_training_data() -> None:
    with pytest.raises(UsageError, match=r"--train-scale: expected 1 or more, got 0"):
        plan_demo_corpora(0, train_scale=0)
