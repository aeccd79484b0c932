"""Object stores that do not answer, or answer 503 for a while: a message or success, no hang."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from manifests import object_store, store
from manifests.errors import ManifestError

pytest.importorskip("s3fs")

QUICK = {
    "connect_timeout": 0.5,
    "read_timeout": 0.3,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}


@pytest.fixture
def s3_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``s3_at(address)``: credentials and the address of an S3 server, in the environment."""

    def point(address: str, **config: object) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {**QUICK, **config}})
        fsspec.get_filesystem_class("s3").clear_instance_cache()

    return point


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []
        stopped = threading.Event()

        def accept() -> None:
            while not stopped.is_set():
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@pytest.fixture
def flaky_server() -> Iterator[tuple[str, list[int]]]:
    """A store that answers what is left in the list of statuses first, then holds ``b/x``."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = (statuses.pop(0), b"<Error/>") if statuses else (200, b"content")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", statuses
    server.shutdown()
    server.server_close()


@pytest.fixture
def half_silent_server() -> Iterator[str]:
    """A store that answers HEAD, and to PUT not at all."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "7")
            self.send_header("ETag", '"1"')
            self.end_headers()

        def handle_expect_100(self) -> bool:
            return not ended.wait(60.0)

        def do_PUT(self) -> None:
            ended.wait(60.0)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    ended.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("work", [store.exists, store.size_bytes, store.read_bytes, store.remove])
def test_a_server_that_never_answers_ends_in_a_message(
    work: Callable[[str], object], silent_server: str, s3_at: Callable[..., None]
) -> None:
    s3_at(silent_server)
    begin = time.monotonic()
    with pytest.raises(ManifestError, match=r"^s3://b/x: cannot be .*[Tt]ime"):
        work("s3://b/x")
    assert time.monotonic() - begin < 60


def test_writing_to_a_server_that_never_answers(
    silent_server: str, s3_at: Callable[..., None]
) -> None:
    s3_at(silent_server)
    with pytest.raises(ManifestError, match=r"^s3://b/x: cannot be written: .*[Tt]ime"):
        store.write_bytes("s3://b/x", b"data")


def test_an_upload_to_a_server_that_falls_silent(
    half_silent_server: str, s3_at: Callable[..., None]
) -> None:
    """It answers look-ups, and takes what is uploaded without a word."""
    s3_at(half_silent_server)
    assert store.exists("s3://b/x")
    with pytest.raises(ManifestError, match=r"^s3://b/x: cannot be written: .*[Tt]ime"):
        store.write_bytes("s3://b/x", b"data")


def test_a_store_that_recovers_is_waited_for(
    flaky_server: tuple[str, list[int]], s3_at: Callable[..., None]
) -> None:
    address, statuses = flaky_server
    s3_at(address, retries={"mode": "standard", "total_max_attempts": 4})
    statuses += [503, 500, 503]
    assert store.size_bytes("s3://b/x") == 7
    statuses += [503, 503]
    assert store.read_bytes("s3://b/x") == b"content"
    assert not statuses


def test_a_store_that_stays_broken_is_named(
    flaky_server: tuple[str, list[int]], s3_at: Callable[..., None]
) -> None:
    address, statuses = flaky_server
    s3_at(address)
    statuses += [503] * 50
    with pytest.raises(ManifestError, match=r"^s3://b/x: cannot be looked up: .*(503|Unavailable)"):
        store.size_bytes("s3://b/x")
    assert len(statuses) >= 44


def test_what_the_user_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    monkeypatch.delenv("AWS_RETRY_MODE", raising=False)
    assert object_store.client_options("gs") == {}
    ours = object_store.client_options("s3")["config_kwargs"]
    assert ours["read_timeout"] == 15.0 and ours["retries"]["total_max_attempts"] == 6
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 60}})
    assert object_store.client_options("s3")["config_kwargs"]["read_timeout"] == 60
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    assert "retries" not in object_store.client_options("s3")["config_kwargs"]
