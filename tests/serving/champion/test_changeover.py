"""What is done about an agreement that is old, or names a version that cannot be had."""

from pathlib import Path
from typing import Any

import pytest

from presagio.errors import RegistryError
from presagio.inference.predictor import fallback_folder, load_predictor
from presagio.machine.spec import MachineSpec
from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion.agreement import Agreed
from presagio.serving.champion.board import Board
from presagio.serving.champion.candidates import Candidates
from presagio.serving.champion.changeover import Changeover
from presagio.serving.champion.replicas import Replicas
from presagio.serving.champion.seat import Seat
from presagio.serving.champion.switch import Switch
from presagio.serving.prometheus import ApiMetrics
from presagio.settings import Settings

V1 = RegisteredVersion("svm_prod", "1", "run-1", None)
V2 = RegisteredVersion("svm_prod", "2", "run-2", None)
OLD = Agreed(7, V1, "1" * 64, 1000.0)


class OneReplica(Board):
    """A board whose replicas' database is there or not, as a test says."""

    def __init__(self) -> None:
        super().__init__(None)
        self.there, self.agreement, self.proposed = False, OLD, list[str]()

    def agreed(self) -> Agreed | None:
        return self.agreement if self.there else None

    @property
    def replicated(self) -> bool:
        return self.there

    def agree(self, version: RegisteredVersion, *_rest: Any) -> None:
        self.proposed.append(version.version)


class Registered(Candidates):
    """Candidates of a registry that has some versions, and an alias on the second."""

    def __init__(self, settings: Settings, spec: MachineSpec, versions: set[str]) -> None:
        super().__init__(settings, spec, lambda: pytest.fail("the registry is a set here"))
        self._versions = versions

    def resolve(self) -> RegisteredVersion:
        return V2

    def _load(self, version: RegisteredVersion, _agreed: Agreed | None) -> Any:
        if version.version not in self._versions:
            raise RegistryError(f"there is no version {version.version}")
        return load_predictor(fallback_folder())


class Process:
    def __init__(self, home: Path, spec: MachineSpec, versions: set[str]) -> None:
        self.board, self.switch = OneReplica(), Switch(None)
        self._changeover = Changeover(
            Registered(Settings(home=home), spec, versions), self.board, self.switch,
            ApiMetrics().of(spec.name), 1.0, lambda _late: None,
        )  # fmt: skip

    def look(self) -> list[str]:
        """Look as a champion does; give the versions that were served from then on."""
        served = []
        for step in (self._changeover.follow_agreement, self._take_alias):
            step()
            if self.switch.current is not None:
                served.append(self.switch.current.version)
        return served

    def _take_alias(self) -> None:
        if self._changeover.is_served(V2):
            self._changeover.agree_on_served(V2)
        else:
            self._changeover.swap(V2)


def test_what_was_taken_while_the_database_was_unavailable_is_not_given_up_for_what_was_before(
    tmp_path: Path, spec: MachineSpec
) -> None:
    process = Process(tmp_path, spec, {"1", "2"})
    assert process.look() == ["2"]
    process.board.there = True
    assert process.look() == ["2", "2"]
    # And all hear of it.
    assert process.board.proposed == ["2", "2"]


def test_an_agreement_on_a_version_that_cannot_be_had_keeps_nobody_from_what_the_alias_names(
    tmp_path: Path, spec: MachineSpec
) -> None:
    process = Process(tmp_path, spec, {"2"})
    process.board.there = True
    assert process.look() == ["2"]


def test_the_moment_of_an_agreement_is_not_known_without_the_databases_clock() -> None:
    replicas = Replicas("postgresql://nobody@127.0.0.1:1/none", "one")
    board = Board(None, Seat(replicas, "model:svm_prod"))
    assert board.moment_of(OLD) is None
