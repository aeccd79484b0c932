"""Scanning by machines that are not alike: one sees no files, another has another decoder."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import Corpora

from manifests.audio import decoder_version
from manifests.errors import ManifestError
from manifests.store import change_stamp
from pipeline.scan_cache import Failure, ScanCache
from pipeline.stages import scan as scan_module
from pipeline.stages.scan import measure_files, scan


@pytest.fixture
def own(corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Noises of a test's own, and a scan cache."""
    monkeypatch.setenv("ROBUST_TAGGER_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(corpora.noise, tmp_path / "noise"))


@pytest.mark.parametrize(("seen", "found"), [("elsewhere", "nothing"), ("hollow", "0 bytes")])
def test_a_machine_that_does_not_see_what_was_listed_ends_the_scan(
    own: Path, monkeypatch: pytest.MonkeyPatch, seen: str, found: str
) -> None:
    """A worker without the corpus, a mount that drops for a moment: no rejects, none cached."""
    (own.parent / "hollow").mkdir()
    for path in own.iterdir():
        (own.parent / "hollow" / path.name).touch()

    def dropped(files: list[Any], decoder: str, version: str) -> Any:
        own.rename(own.parent / "away")
        with contextlib.suppress(FileNotFoundError):
            (own.parent / seen).rename(own)
        try:
            return measure_files(files, decoder, version)
        finally:
            if own.exists():
                own.rename(own.parent / seen)
            (own.parent / "away").rename(own)

    with monkeypatch.context() as inner:
        inner.setattr(scan_module, "measure_files", dropped)
        with pytest.raises(ManifestError) as caught:
            scan("folder", str(own))
    assert str(caught.value).startswith(
        f"noise0.wav: expected the file that was listed, {socket.gethostname()} finds {found}; "
    )
    found_again = scan("folder", str(own))
    assert (len(found_again.clips), found_again.rejects) == (8, ())


def test_what_an_older_version_cached_of_a_blind_worker_is_not_believed(own: Path) -> None:
    first = scan("folder", str(own))
    with contextlib.closing(ScanCache()) as cache:
        path = own / "noise5.wav"
        stamp = "|".join([*change_stamp(str(path)), "0", decoder_version("soundfile")])
        assert cache.get([(str(path), stamp)])
        cache.put([(str(path), stamp, Failure("missing", "noise5.wav: expected, found none"))])
    again = scan("folder", str(own))
    assert (again.clips, again.rejects) == (first.clips, ())


def test_a_file_that_was_empty_when_it_was_listed_is_a_reject(own: Path) -> None:
    (own / "void.wav").touch()
    (reject,) = scan("folder", str(own)).rejects
    assert (reject.path, reject.reason) == ("void.wav", "empty")


def test_a_worker_with_another_decoder_refuses(own: Path) -> None:
    """Its measurements would be cached, and the set built of them, under our decoder's name."""
    with pytest.raises(ManifestError, match=r": expected the decoder soundfile 0\.1 \(x\), got s"):
        measure_files([], "soundfile", "soundfile 0.1 (x)")
