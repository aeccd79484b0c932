"""What the command line names: corpora with their folders, and the scans of all of them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.errors import UsageError
from pipeline.corpora import corpus

NO_NOISE: Final = "none"


@dataclass(frozen=True)
class Sources:
    """Corpora by role.

    Where one corpus is music and noise at once (two folders of a user), its options and its
    metadata folder are those of the music: a table names the files of one folder.

    Attributes:
        music: root by corpus name.
        noise: root by corpus name; empty for real recordings.
        metadata: metadata folder by corpus name, where it is elsewhere.
        corpus_options: options of the corpora by name.
    """

    music: dict[str, str]
    noise: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    corpus_options: dict[str, Any] = field(default_factory=dict)

    @property
    def roots(self) -> Mapping[str, Mapping[str, str]]:
        """Roots by role and name, as rendering wants them."""
        return {"music": self.music, "noise": self.noise}

    def options_of(self, role: str, name: str) -> Mapping[str, Any]:
        """Return the options for a corpus in one role, those of other corpora among them."""
        if not self._is_second_role(role, name):
            return self.corpus_options
        own = corpus_defaults(name)
        return {key: value for key, value in self.corpus_options.items() if key not in own}

    def metadata_of(self, role: str, name: str) -> str | None:
        """Return the metadata folder of a corpus in one role, None where it lies in its root."""
        return None if self._is_second_role(role, name) else self.metadata.get(name)

    def _is_second_role(self, role: str, name: str) -> bool:
        return role == "noise" and name in self.music


def absolute_url(url: str) -> str:
    """Return a local path with ``~`` expanded and made absolute; URLs as they are.

    Workers on this or another machine may have another working directory, and shells expand ``~``
    only at the beginning of a word, not in ``mtat=~/data``.
    """
    if not store.is_local(url) or "://" in url:
        return url
    return str(Path(os.path.expanduser(url)).absolute())  # noqa: PTH111 - ~nobody may stay


def parse_named(values: Sequence[str], option: str) -> dict[str, str]:
    """Parse ``NAME=DIR`` values.

    Raises:
        UsageError: a value has no name, or a name stands twice.
    """
    named: dict[str, str] = {}
    for value in values:
        name, separator, url = value.partition("=")
        if not separator or not name or not url:
            raise UsageError(f"{option}: expected NAME=DIR, e.g. mtat=/data/mtat, got {value!r}")
        if name in named:
            raise UsageError(f"{option}: {name} is given twice")
        named[name] = absolute_url(url)
    return named


def make_sources(
    music: Sequence[str],
    noise: Sequence[str],
    metadata: Sequence[str] = (),
    corpus_options: Mapping[str, Any] | None = None,
) -> Sources:
    """Build the sources from option values.

    Raises:
        UsageError: a corpus is unknown, cannot serve the role, or is not given at all.
    """
    if not noise:
        raise UsageError("--noise: expected NAME=DIR or none, got nothing")
    if NO_NOISE in noise and len(noise) > 1:
        raise UsageError("--noise none: expected no other --noise beside it")
    sources = Sources(
        music=parse_named(music, "--music"),
        noise={} if NO_NOISE in noise else parse_named(noise, "--noise"),
        metadata=parse_named(metadata, "--metadata"),
        corpus_options=dict(corpus_options or {}),
    )
    if not sources.music:
        raise UsageError("--music: expected NAME=DIR, e.g. mtat=/data/mtat, got nothing")
    for role, roots in sources.roots.items():
        for name, root in roots.items():
            if role not in corpus(name).ROLE:
                roles = " or ".join(corpus(name).ROLE)
                raise UsageError(f"--{role} {name}: expected a {role} corpus; {name} is {roles}")
            if not store.exists(root):
                raise UsageError(f"--{role} {name}={root}: no such folder")
    for name in sources.metadata:
        if name not in sources.music and name not in sources.noise:
            raise UsageError(f"--metadata {name}: expected a corpus of --music or --noise")
    return sources


def corpus_defaults(name: str) -> dict[str, Any]:
    """Return the defaults of a corpus' own options, by name."""
    return {option.name: option.default for option in corpus(name).OPTIONS}


def check_options_serve(options: Iterable[str], corpora: Collection[str]) -> None:
    """Refuse options of corpora that are not read: they would change nothing.

    Args:
        options: names of options as corpora declare them.
        corpora: names of the corpora that are read.

    Raises:
        UsageError: one is of no corpus that is read.
    """
    serve = {name for corpus_name in corpora for name in corpus_defaults(corpus_name)}
    if idle := sorted(set(options) - serve):
        flags = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise UsageError(f"{flags}: of no corpus that is read ({', '.join(corpora)}); leave it out")


def identity_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they go into a set's identity: a file is named by its content, not path."""
    shown: dict[str, Any] = {}
    for name, value in sorted(options.items()):
        if name.endswith(("_file", "_csv")) and value:
            value = named_by_content(value)
        shown[name] = list(value) if isinstance(value, tuple) else value
    return shown


def named_by_content(url: str) -> str:
    """Return ``sha256:...`` of a file; the bare name of what is no file.

    Raises:
        UsageError: it is a pipe or a device: it would be empty, or waited for, when it is read
            again for what is in it.
        ManifestError: it cannot be read.
    """
    if not store.exists(url):
        return posixpath.basename(url)
    if store.is_local(url):
        mode = store.local_path(url).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a pipe" if stat.S_ISFIFO(mode) else "a device"
            raise UsageError(f"{url}: expected a file, got {kind}; write it to a file first")
    return "sha256:" + hashlib.sha256(store.read_bytes(url)).hexdigest()
