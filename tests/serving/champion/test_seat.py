"""Processes agree through a real PostgreSQL: once, on one version, without those that are gone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from presagio.registry.versions import RegisteredVersion
from presagio.serving.champion import replicas as module
from presagio.serving.champion.agreement import names_of, topic_of
from presagio.serving.champion.replica_tables import ReplicaTables
from presagio.serving.champion.replicas import Replicas
from presagio.serving.champion.seat import AloneError, Seat, SupersededError
from presagio.storage.database import open_database
from presagio.storage.migration import migrate
from tests.conftest import RunningServices
from tests.serving.replicas.relay import Relay

pytestmark = pytest.mark.integration

MODEL = "agreed-on"
V1 = RegisteredVersion(MODEL, "1", "run-1", "1" * 64)
V2 = RegisteredVersion(MODEL, "2", "run-2", "2" * 64)
TOPIC = topic_of(MODEL)
Join = Callable[..., Seat]


@pytest.fixture
def url(services: RunningServices) -> str:
    engine = open_database(services.settings)
    migrate(engine)
    engine.dispose()
    url = services.credentials.database_url(services.ports, "presagio")
    return url.replace("+psycopg", "")


@pytest.fixture
def join(url: str) -> Iterator[Join]:
    """Make seats, each of a process of its own, at one table."""
    joined: list[Replicas] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM api_champions WHERE topic = %s", (TOPIC,))
        connection.execute("DELETE FROM api_states WHERE topic = %s", (TOPIC,))

    def make(name: str, *, url: str = url, knows: bool = True) -> Seat:
        joined.append(Replicas(url, name))
        seat = Seat(joined[-1], TOPIC)
        joined[-1].start()
        _soon(lambda: joined[-1].available or not knows)
        return seat

    yield make
    for one in joined:
        one.close()


def _soon(fine: Callable[[], object], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not fine():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _agree(seat: Seat, version: RegisteredVersion = V1, limit_s: float = 20.0) -> float:
    """Agree, and give the moment by the clock that all processes of this machine share."""
    moment = seat.agree(version, "d" * 64, lambda: True, limit_s)
    return (moment.closes + moment.opens) / 2


def test_all_agree_on_one_moment_which_is_still_to_come(join: Join) -> None:
    seats = [join(f"replica-{i}") for i in range(4)]
    _soon(lambda: len(seats[0].states) == 4)
    with ThreadPoolExecutor(4) as pool:
        moments = list(pool.map(_agree, seats))
    assert max(moments) - min(moments) < 0.05
    _soon(lambda: all(seat.known_agreed for seat in seats))
    assert {seat.known_agreed for seat in seats} == {seats[0].known_agreed}
    agreed = seats[0].known_agreed
    assert agreed is not None
    assert (agreed.version, agreed.generation) == (V1, 1)


def test_the_slowest_is_waited_for_and_one_that_refuses_is_not(join: Join) -> None:
    quick, slow, refusing = join("quick"), join("slow"), join("refusing")
    _soon(lambda: len(quick.states) == 3)
    refusing.post(refused=names_of(V1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_agree, quick)
        time.sleep(0.5)
        assert not waiting.done()
        assert abs(_agree(slow) - waiting.result(20)) < 0.05
    assert refusing.is_behind("") is False
    quick.post(serves=names_of(V1))
    _soon(lambda: refusing.is_behind(names_of(V2)))
    assert not quick.is_behind(names_of(V1))


def test_one_that_never_is_ready_is_left_behind(join: Join) -> None:
    quick, _stuck = join("quick"), join("stuck")
    _soon(lambda: len(quick.states) == 2)
    began = time.monotonic()
    assert _agree(quick, limit_s=0.5) - began > 0.5


def test_one_that_is_killed_is_not_waited_for(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, killed = join("quick"), join("killed")
    _soon(lambda: len(quick.states) == 2)
    # It says nothing any more, and has not taken leave.
    monkeypatch.setattr(ReplicaTables, "leave", lambda _tables: None)
    killed.replicas.close()
    began = time.monotonic()
    _agree(quick, limit_s=60.0)
    assert time.monotonic() - began < 10
    assert [state.replica for state in quick.states] == ["quick"]


def test_a_version_that_is_wanted_no_more_is_not_agreed_on(join: Join) -> None:
    seat = join("one")
    with pytest.raises(SupersededError):
        seat.agree(V1, "d" * 64, lambda: False, 5.0)
    assert seat.agreed() is None


def test_two_that_propose_different_versions_agree_on_one(join: Join) -> None:
    one, other = join("one"), join("other")
    _soon(lambda: len(one.states) == 2)

    def propose(seat: Seat, version: RegisteredVersion) -> RegisteredVersion | None:
        try:
            _agree(seat, version, 0.3)
        except SupersededError:
            return None
        return version

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(propose, (one, other), (V1, V2)))
    _soon(lambda: one.known_agreed and one.known_agreed == other.known_agreed)
    agreed = one.known_agreed
    assert agreed is not None
    assert {version for version in found if version} == {agreed.version}
    assert agreed.generation == 1


def test_a_statement_that_hangs_is_given_up_and_taken_up_again(
    join: Join, services: RunningServices, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HANGS_S", 0.5)
    monkeypatch.setattr(module, "_STALE_S", 0.7)
    with Relay(services.ports.postgres) as relay:
        seat = join("one", url=url.replace(f":{services.ports.postgres}/", f":{relay.port}/"))
        replicas = seat.replicas
        relay.hanging.set()

        def broken() -> bool:
            replicas.watch()
            return "cannot be used" in (replicas.fault or "")

        waiting = threading.Thread(target=lambda: _soon(broken))

        waiting.start()
        # Nobody waits for it.
        _soon(lambda: not replicas.available)
        with pytest.raises(AloneError):
            _agree(seat)
        waiting.join(20)
        assert broken()
        relay.hanging.clear()
        _soon(lambda: replicas.available)
        assert [state.replica for state in seat.states] == ["one"]


def test_a_password_in_a_bad_address_is_not_shown(join: Join) -> None:
    seat = join("one", url="postgresql://user:pa%zzss@[/none", knows=False)
    _soon(lambda: seat.replicas.asked)
    assert "pa%zzss" not in str(seat.replicas.fault)


def test_what_was_left_long_ago_is_removed(join: Join, url: str) -> None:
    old = uuid4()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO api_processes VALUES (%s, 'old', 1, now() - interval '1 hour')", (old,)
        )
        join("one")
        _soon(
            lambda: (
                not connection.execute(
                    "SELECT 1 FROM api_processes WHERE process = %s", (old,)
                ).fetchall()
            )
        )


@pytest.mark.parametrize(
    "odd",
    ["name = 'another'", "artifact_digest = '../../x'", "registered_digest = 'x'", "at = NULL"],
)
def test_what_somebody_else_wrote_is_no_agreement(join: Join, url: str, odd: str) -> None:
    seat = join("one")
    _agree(seat)
    _soon(lambda: seat.known_agreed)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE api_champions SET {odd} WHERE topic = %s", (TOPIC,))  # noqa: S608
    _soon(lambda: seat.known_agreed is None)
    assert seat.replicas.available
