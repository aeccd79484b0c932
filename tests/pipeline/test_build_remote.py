"""Output to object stores: memory:// and a local S3 server; the done-marker last, resumable."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import pytest
from joblib.externals.loky import get_reusable_executor
from tiny_corpora import Corpora, MakePlan, Roots

from manifests import store
from manifests.errors import ManifestError, UsageError
from manifests.shardset import load_set
from pipeline.config import RunOptions
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.stages.verify import verify_set


@pytest.fixture(scope="module")
def small(make_plan: MakePlan) -> Plan:
    return make_plan(noises=2, limit=6, examples_per_shard=2, snrs_db=(0.0, -5.0))


@pytest.fixture(scope="module")
def local(small: Plan, roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same set on this machine's disk."""
    out = tmp_path_factory.mktemp("local") / "set"
    build_set(small, str(out), roots)
    return remote_hashes(str(out))


def remote_hashes(url: str) -> dict[str, str]:
    """Return the SHA-256 of every file below a URL, by its path below it."""
    file_system, path = fsspec.core.url_to_fs(url)
    file_system.invalidate_cache()
    found = file_system.find(path) if file_system.exists(path) else []
    start = path.rstrip("/") + "/"
    return {
        name.removeprefix(start): hashlib.sha256(file_system.cat_file(name)).hexdigest()
        for name in found
    }


@pytest.fixture
def memory() -> Iterator[str]:
    """An empty folder in memory."""
    file_system = fsspec.filesystem("memory")
    file_system.store.clear()
    file_system.pseudo_dirs[:] = [""]
    yield "memory://bucket/sets/train"
    file_system.store.clear()


FailPuts = Callable[..., list[str]]


@pytest.fixture
def fail_puts(monkeypatch: pytest.MonkeyPatch) -> FailPuts:
    """``fail_puts(kind, n)``: the n-th upload breaks; returns the names that were uploaded."""

    def install(kind: type, n: int | None = None) -> list[str]:
        original, names = kind.put_file, []

        def put_file(self: Any, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
            if n is not None and len(names) >= n:
                raise ConnectionResetError(104, "Connection reset by peer")
            original(self, lpath, rpath, *args, **kwargs)
            names.append(posixpath.basename(rpath))

        monkeypatch.setattr(kind, "put_file", put_file)
        return names

    return install


def test_a_set_in_memory(memory: str, small: Plan, roots: Roots, local: dict[str, str]) -> None:
    summary = build_set(small, memory, roots)
    assert summary.out == memory and summary.n_shards == 3
    assert remote_hashes(memory) == local
    assert load_set(memory).index.counts["examples"] == 6
    verdict = verify_set(memory)
    assert (verdict.problems, verdict.n_examples) == ((), 6)
    assert build_set(small, memory, roots).n_resumed == 3
    assert remote_hashes(memory) == local


def test_the_done_marker_is_the_last_upload(
    memory: str, small: Plan, roots: Roots, fail_puts: FailPuts
) -> None:
    names = fail_puts(type(fsspec.filesystem("memory")))
    build_set(small, memory, roots)
    assert names[0] == "plan.json" and names[-1] == "index.json"
    for name in (n for n in names if n.endswith(".tar")):
        assert names.index(name) < names.index(name.replace(".tar", ".json"))


@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 9, 10, 13, 16])
def test_an_upload_that_breaks_off_is_resumed(
    memory: str, small: Plan, roots: Roots, local: dict[str, str], fail_puts: FailPuts,
    monkeypatch: pytest.MonkeyPatch, n: int,
) -> None:  # fmt: skip
    """1 header, 3 row files, 3 x (tar, sidecar), then 7 files of the set: 17 uploads."""
    names = fail_puts(type(fsspec.filesystem("memory")), n)
    with pytest.raises(ManifestError) as caught:
        build_set(small, memory, roots)
    assert str(caught.value).startswith(f"{memory}/")
    assert "cannot be written: Connection reset by peer" in str(caught.value)
    assert len(names) == n and "index.json" not in names
    seen = {k: v for k, v in remote_hashes(memory).items() if not k.startswith(".plan/")}
    assert seen.items() <= local.items()
    monkeypatch.undo()
    summary = build_set(small, memory, roots)
    assert summary.n_resumed == sum(1 for k in seen if k.startswith("shard-") and ".json" in k)
    assert remote_hashes(memory) == local


def test_overwrite_and_refusal_in_memory(
    memory: str, small: Plan, make_plan: MakePlan, roots: Roots, local: dict[str, str]
) -> None:
    other = make_plan(noises=1, limit=8, examples_per_shard=1, snrs_db=(0.0,))
    build_set(other, memory, roots)
    store.write_text(f"{memory}/notes.txt", "mine")
    with pytest.raises(ManifestError, match=r"another option: .*noises was 1, now 2"):
        build_set(small, memory, roots)
    build_set(small, memory, roots, run=RunOptions(overwrite=True))
    found = remote_hashes(memory)
    assert found.pop("notes.txt") and found == local
    store.write_text("memory://bucket/other/thesis.tex", "mine")
    with pytest.raises(ManifestError, match=r"expected a new folder.*found thesis\.tex"):
        build_set(small, "memory://bucket/other", roots, run=RunOptions(overwrite=True))


def test_corpora_in_memory(
    memory: str, small: Plan, corpora: Corpora, roots: Roots, local: dict[str, str],
    make_plan: MakePlan,
) -> None:  # fmt: skip
    """Reading from an object store gives the same samples, hence the same set."""
    file_system = fsspec.filesystem("memory")
    file_system.put(f"{corpora.music}/", "/bucket/music", recursive=True)
    file_system.put(f"{corpora.noise}/", "/bucket/noise", recursive=True)
    music, noise = "memory://bucket/music", "memory://bucket/noise"
    plan = make_plan(music, noise, noises=2, limit=6, examples_per_shard=2, snrs_db=(0.0, -5.0))
    assert plan.sha256() == small.sha256()
    build_set(plan, memory, {"music": {"folder": music}, "noise": {"folder": noise}})
    assert remote_hashes(memory) == local


@pytest.mark.parametrize(
    "url",
    ["pipe:rm -rf x", "simplecache::memory://x/y", "ssh://host/path", "data://x", "nonsense://x"],
)
def test_urls_that_run_things_or_lead_nowhere_are_refused(
    url: str, small: Plan, roots: Roots
) -> None:
    with pytest.raises(UsageError):
        build_set(small, url, roots)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """A local S3 server with one bucket; returns its address."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="sets")
        get_reusable_executor().shutdown(wait=True)  # its workers have the old environment
        yield address
        get_reusable_executor().shutdown(wait=True)
    server.stop()


def test_a_set_on_s3(
    s3_server: str, small: Plan, roots: Roots, local: dict[str, str], fail_puts: FailPuts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Broken off, resumed with two workers, verified, run again: the bytes of the local set."""
    import s3fs

    url = "s3://sets/some folder/train"
    names = fail_puts(s3fs.S3FileSystem, 7)
    with pytest.raises(ManifestError, match=r"shard-00000\d\.(json|tar): cannot be written: Conn"):
        build_set(small, url, roots)
    assert len(names) == 7
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    summary = build_set(small, url, roots, run=RunOptions(jobs=2))
    assert summary.n_resumed == 1
    assert remote_hashes(url) == local
    assert verify_set(url, jobs=2).problems == ()
    assert build_set(small, url, roots, run=RunOptions(jobs=2)).n_resumed == 3
