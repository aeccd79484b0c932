"""The sets of a grid: what its cells train on, by number of noises, and are evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.errors import UsageError
from manifests.shardset import INDEX, SUITE, load_set
from trainer.evaluation.checkpoint import SetRequest, set_request
from trainer.grid_cells import Cell
from trainer.perturb.perturbation import Perturbation
from trainer.roles import Roles, open_roles, with_unlabelled

TEST_ROLES: Final = ("test-audioset", "test-musan")
NOISES: Final = (1, 2, 4)


@dataclass(frozen=True)
class Suite:
    """The sets of a grid.

    Attributes:
        shards: folder of a suite, or one with ``k1``, ``k2``, ``k4``.
        sets: ``ROLE=SET`` values that replace single roles.
        overwrite: whether runs of another configuration are removed.
        also: sets that every cell is evaluated on beside the test sets.
        perturbations: what is done to the clean members of all these sets besides.
    """

    shards: str
    sets: tuple[str, ...] = ()
    overwrite: bool = False
    also: tuple[str, ...] = ()
    perturbations: tuple[Perturbation, ...] = ()

    def cell_roles(self, cell: Cell) -> Roles:
        """Return the sets of a cell, with those that a noisy student is given.

        Raises:
            UsageError: there are none.
            ManifestError: one is damaged.
        """
        roles, unlabelled = self.roles(cell.k), cell.given.unlabelled
        return with_unlabelled(roles, unlabelled) if unlabelled else roles

    def roles(self, k: int) -> Roles:
        """Return the sets with k noises: those of ``k1``, ``k2``, ``k4``, or of the path itself.

        Raises:
            UsageError: there are none, or the path's own train on another number.
            ManifestError: the training set is damaged.
        """
        folder = store.join(self.shards, f"k{k}")
        if store.exists(store.join(folder, SUITE)):
            return open_roles(folder, self.sets)
        if not any(store.exists(store.join(self.shards, name)) for name in (SUITE, INDEX)):
            raise UsageError(
                f"{self.shards}: expected k{k}/{SUITE}, found {self._below()}; name the --noises "
                "that are there, or build the suite with --noises 1,2,4"
            )
        roles = open_roles(self.shards, self.sets)
        noises = roles.open("train").index.noises_per_example if "train" in roles else 0
        if noises not in (0, k):  # none: real recordings, which the stages refuse by name
            raise UsageError(
                f"{self.shards}: expected k{k}/{SUITE} or a training set of {_noises(k)}, got one "
                f"of {_noises(noises)}; name --noises {noises}, or the folder that holds k{k}"
            )
        return roles

    def _below(self) -> str:
        suites = (f"k{k}" for k in NOISES)
        found = [k for k in suites if store.exists(store.join(self.shards, k, SUITE))]
        return ", ".join(found) or "none"

    def requests(self, k: int) -> list[SetRequest]:
        """Return the sets that a cell is evaluated on.

        Raises:
            UsageError: there is no test set.
            ManifestError: one is damaged.
        """
        roles = self.roles(k)
        urls = [roles.urls[role] for role in TEST_ROLES if role in roles]
        if not urls:
            raise UsageError(
                f"{self.shards}: expected a set to evaluate on with the role "
                f"{' or '.join(TEST_ROLES)}, got {', '.join(sorted(roles.urls))}; name one "
                "with --set ROLE=SET"
            )
        return [set_request(load_set(url)) for url in (*urls, *self.also)]


def _noises(number: int) -> str:
    return f"{number} noise{'s' if number > 1 else ''}"
