"""The sets of a run by role: from a suite's folder, single sets laid over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.errors import ManifestError, UsageError
from manifests.reading import TRANSITION_HZ
from manifests.rows import SAMPLE_RATE
from manifests.shardset import INDEX, ROLES, ShardSet, load_set, load_suite

UNLABELLED: Final = "unlabelled"
"""Role of the set of ``--unlabelled-shards``; no suite has it."""


@dataclass(frozen=True)
class Roles:
    """Finished sets by role, opened when asked for.

    Attributes:
        urls: path or URL of each set by role.
    """

    urls: Mapping[str, str]

    def __contains__(self, role: str) -> bool:
        return role in self.urls

    def open(self, role: str) -> ShardSet:
        """Open a set.

        Raises:
            UsageError: no set has the role.
            ManifestError: the set is not finished or not readable.
        """
        if role not in self.urls:
            raise UsageError(
                f"expected a set with the role {role}, got "
                f"{', '.join(sorted(self.urls)) or 'none'}; name one with --set {role}=SET"
            )
        return load_set(self.urls[role])

    def band_hz(self) -> float | None:
        """Return the upper edge of the training set's band, Hz; None where it is full.

        Raises:
            UsageError: no set has the role ``train``.
            ManifestError: the set is not readable, or its index names no band that a set can have.
        """
        index = self.open("train").index
        found = index.config.get("band_hz")
        legal = isinstance(found, int | float) and TRANSITION_HZ < found <= SAMPLE_RATE / 2
        if found is not None and not legal:
            raise ManifestError(
                f"{index.name}: expected a band_hz of {TRANSITION_HZ:g} to {SAMPLE_RATE / 2:g} Hz "
                f"or none in {INDEX}, got {found!r:.40}; build the set again"
            )
        return found

    def pretrain(self, role: str) -> str:
        """Return the role for stage 1: ``pretrain-ROLE``, or ``ROLE`` where there is none."""
        return f"pretrain-{role}" if f"pretrain-{role}" in self.urls else role


def open_roles(shards: str | None, sets: Sequence[str] = ()) -> Roles:
    """Find the sets of a run.

    Args:
        shards: folder of a suite, of its ``k1``, or of one set (role ``train``).
        sets: ``ROLE=SET`` values that replace or add single roles.

    Raises:
        UsageError: a value without role, an unknown role, or nothing at all.
        ManifestError: ``shards`` holds no suite and no set.
    """
    urls: dict[str, str] = {}
    if shards is not None:
        single = store.exists(store.join(shards, INDEX))
        urls = {"train": shards} if single else load_suite(shards)
    for value in sets:
        role, separator, url = value.partition("=")
        if not separator or role not in ROLES:
            raise UsageError(
                f"--set: expected ROLE=SET with a role of {', '.join(ROLES)}, got {value}"
            )
        urls[role] = url
    if not urls:
        raise UsageError("--shards: expected the folder of a suite or set, got nothing")
    return Roles(urls)


def with_unlabelled(roles: Roles, url: str) -> Roles:
    """Add the set of a noisy student's unlabelled examples, under the role ``unlabelled``.

    Args:
        roles: the sets of the run.
        url: a set, or a suite, whose ``extra-target`` is taken.

    Raises:
        UsageError: a suite without that role.
        ManifestError: ``url`` holds no set and no suite.
    """
    if not store.exists(store.join(url, INDEX)):
        found = load_suite(url)
        if "extra-target" not in found:
            raise UsageError(
                f"--unlabelled-shards {url}: expected a set, or a suite with the role "
                f"extra-target, got {', '.join(found) or 'none'}; name one of its sets"
            )
        url = found["extra-target"]
    return Roles({**roles.urls, UNLABELLED: url})
