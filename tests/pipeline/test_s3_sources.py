"""Corpora, scan and set on a local S3 server, and a server that goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from prep_runner import run_prep
from tiny_corpora import Corpora, MakePlan, Roots, set_hashes

from manifests import store
from manifests.errors import ManifestError
from pipeline.config import RunOptions
from pipeline.corpora.files import FileTree
from pipeline.stages.build import build_set
from pipeline.stages.scan import scan
from pipeline.stages.verify import verify_set

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


def start_server(port: int = 0) -> tuple[Any, str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    server.start()
    host, found = server.get_host_and_port()
    return server, f"http://{host}:{found}"


@pytest.fixture(scope="module")
def s3() -> Iterator[list[Any]]:
    """A server with the bucket ``data``; [server, address], so that a test may replace it."""
    import boto3

    server, address = start_server()
    running = [server, address]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        boto3.client("s3").create_bucket(Bucket="data")
        yield running
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    running[0].stop()


@pytest.fixture(scope="module")
def sources(s3: list[Any], corpora: Corpora) -> tuple[str, str]:
    """The tiny corpora in the bucket."""
    file_system, _ = store.filesystem("s3://data/x")
    file_system.put(f"{corpora.music}/", "data/music/", recursive=True)
    file_system.put(f"{corpora.noise}/", "data/noise/", recursive=True)
    return "s3://data/music", "s3://data/noise"


def test_the_set_is_that_of_local_files(
    sources: tuple[str, str], corpora: Corpora, make_plan: MakePlan, roots: Roots, tmp_path: Any
) -> None:
    """Scanned, planned and built from S3, once to S3 and once to disk, by the command itself."""
    options = ("--split", "train", "--limit", 4, "--examples-per-shard", 2, "--snr", 0, "--jobs", 1)
    here = tmp_path / "here"
    local = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")
    assert run_prep("build-shards", *local, *options, "--out", here).status == 0
    music, noise = sources
    remote = ("--music", f"folder={music}", "--noise", f"folder={noise}")
    for out in (tmp_path / "set", "s3://data/set"):
        ran = run_prep("build-shards", *remote, *options, "--out", out)
        assert ran.status == 0, ran.err
    assert set_hashes(tmp_path / "set") == set_hashes(here)
    assert run_prep("verify", "s3://data/set", "--jobs", 1).status == 0
    assert store.read_bytes("s3://data/set/index.json") == (here / "index.json").read_bytes()


def test_a_scan_lists_and_does_not_ask_for_each_file(
    sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """125,000 requests of 20 ms would take 42 minutes, where the listing says it all."""
    from s3fs import S3FileSystem

    assert run_prep("scan", "--corpus", "folder", "--root", sources[0], "--jobs", 1).status == 0
    asked: list[str] = []
    looked_up: list[str] = []
    call, search = S3FileSystem._call_s3, S3FileSystem._ls_from_cache

    async def counting(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        asked.append(method)
        return await call(self, method, *arguments, **options)

    def searching(self: Any, path: str) -> Any:
        looked_up.append(path)
        return search(self, path)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counting)
    monkeypatch.setattr(S3FileSystem, "_ls_from_cache", searching)
    assert run_prep("scan", "--corpus", "folder", "--root", sources[0], "--jobs", 1).status == 0
    assert asked and asked.count("head_object") <= 3 and len(asked) < 16
    assert not [path for path in looked_up if path.endswith(".wav")], "s3fs searches its listing"


def test_a_listing_has_the_stamps_that_looking_up_would_give(sources: tuple[str, str]) -> None:
    """So what was measured by an older version is still known."""
    tree = FileTree(sources[0])
    stamps = {path: tree.stamp(path) for path in tree.paths}
    assert stamps and stamps == {path: store.change_stamp(tree.url(path)) for path in stamps}
    store.filesystem(sources[0])[0].invalidate_cache()
    asked = {path: store.change_stamp(tree.url(path)) for path in stamps}  # each in a request
    assert stamps == asked


def test_odd_keys_and_folder_markers_of_a_bucket(
    sources: tuple[str, str], corpora: Corpora
) -> None:
    import boto3

    sound = next(corpora.noise.glob("*.wav")).read_bytes()
    client = boto3.client("s3")
    for key in ("a.wav", "x::y.wav", "sub//double.wav", "b [1]#?%.wav"):
        client.put_object(Bucket="data", Key=f"odd/{key}", Body=sound)
    client.put_object(Bucket="data", Key="odd/empty/", Body=b"")
    found = scan("folder", "s3://data/odd")
    assert [clip.path for clip in found.clips] == ["a.wav", "b [1]#?%.wav"]
    assert [note for note in found.notes if note.startswith("not listed")] == [
        "not listed: sub//double.wav: name holds '//', '..' or '::'; rename it",
        "not listed: x::y.wav: name holds '//', '..' or '::'; rename it",
    ]


def test_a_set_whose_name_reads_like_a_pattern_leaves_its_neighbour_whole(
    s3: list[Any], make_plan: MakePlan, roots: Roots
) -> None:
    plan = make_plan(noises=1, limit=2, examples_per_shard=1, snrs_db=(0.0,))
    build_set(plan, "s3://data/runs/run1", roots)
    build_set(plan, "s3://data/runs/run[1]", roots)
    other = make_plan(noises=1, limit=2, examples_per_shard=1, snrs_db=(-5.0,))
    build_set(other, "s3://data/runs/run[1]", roots, run=RunOptions(overwrite=True))
    assert verify_set("s3://data/runs/run1").problems == ()
    assert verify_set("s3://data/runs/run[1]").problems == ()


def test_a_bucket_that_is_misspelt_is_not_made(
    s3: list[Any], make_plan: MakePlan, roots: Roots
) -> None:
    import boto3

    plan = make_plan(noises=1, limit=2, examples_per_shard=1, snrs_db=(0.0,))
    with pytest.raises(ManifestError) as caught:
        build_set(plan, "s3://dtaa/set", roots)
    assert str(caught.value) == (
        "s3://dtaa/set/.plan/plan.json: cannot be written: expected the bucket dtaa, found none; "
        "check its name or make it first"
    )
    assert "dtaa" not in {b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]}


def test_a_server_that_is_away_for_a_moment(
    s3: list[Any], make_plan: MakePlan, roots: Roots, tmp_path: Any
) -> None:
    """Stopped and started again on its port while a set is written: nobody notices."""
    plan = make_plan(noises=1, limit=4, examples_per_shard=1, snrs_db=(0.0,))
    build_set(plan, str(tmp_path / "set"), roots)
    server, address = s3

    def restart() -> None:
        server.stop()
        time.sleep(1.0)
        s3[0], _ = start_server(int(address.rsplit(":", 1)[1]))

    store.write_text("s3://data/away/first", "x")
    thread = threading.Thread(target=restart)
    thread.start()
    time.sleep(0.3)
    build_set(plan, "s3://data/away/set", roots)
    thread.join()
    for name in ("index.json", "shard-000000.tar", "manifest-sha256.txt"):
        found = store.read_bytes(f"s3://data/away/set/{name}")
        assert found == (tmp_path / "set" / name).read_bytes()
