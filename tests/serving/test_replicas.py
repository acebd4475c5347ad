"""What replicas of the API agree on: accounts, wrong passwords, what was taken."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from presagio.machine.spec import MachineSpec
from presagio.serving.auth.accounts import make_account
from presagio.serving.auth.shared_accounts import opened_accounts
from presagio.settings import Settings
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices
from tests.serving.sharing_replicas import as_superuser, at_once, replica_settings, replicas

pytestmark = pytest.mark.integration

# Behind a balancer, so that each test asks from addresses of its own.
_LIMITS = {"trusted_proxies": ("127.0.0.0/8",), "token_attempts": 6, "token_account_attempts": 12}


@pytest.fixture(scope="module")
def settings(services: RunningServices, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = replica_settings(services, tmp_path_factory.mktemp("replicas"))
    return Settings.model_validate(made.model_dump() | _LIMITS)


@pytest.fixture(scope="module")
def three(settings: Settings) -> Iterator[list[httpx.Client]]:
    homes = [settings.home / name for name in ("one", "two", "three")]
    with replicas(settings, homes) as clients:
        yield clients


def _sign_in(client: httpx.Client, name: str, secret: str, address: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    return client.post("/token", data=form, headers={"X-Forwarded-For": address})


def _sign_ins(clients: list[httpx.Client], *who: str) -> list[httpx.Response]:
    return at_once([partial(_sign_in, one, *who) for one in clients])


def test_an_account_is_known_to_every_replica_when_it_was_added_and_to_none_when_removed(
    settings: Settings, three: list[httpx.Client]
) -> None:
    name, who = f"line-{uuid4().hex[:6]}", "192.0.2.1"
    assert {one.status_code for one in _sign_ins(three, name, "its secret", who)} == {401}
    with opened_accounts(settings) as accounts:
        accounts.put(make_account(name, "client", "its secret", ("predict",)))
    # Asked for at once, not a second later.
    answers = _sign_ins(three, name, "its secret", who)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.json()["scope"] for answer in answers} == {"predict"}
    with opened_accounts(settings) as accounts:
        assert accounts.remove(name)
    assert {one.status_code for one in _sign_ins(three, name, "its secret", who)} == {401}
    # What it was given before holds until it expires, as without a database.
    token = {"Authorization": f"Bearer {answers[0].json()['access_token']}"}
    assert {one.get("/model", headers=token).status_code for one in three} == {200}


def test_wrong_passwords_at_once_are_counted_over_all_replicas(three: list[httpx.Client]) -> None:
    who = "192.0.2.2"
    answers = _sign_ins(three * 7, "presagio", "wrong", who)
    assert Counter(answer.status_code for answer in answers) == {401: 6, 429: 15}
    right = _sign_in(three[0], "presagio", "the client's secret", who)
    assert right.status_code == 429
    assert 1 <= int(right.headers["retry-after"]) <= 60
    # Others behind the same balancer are not held up.
    assert _sign_in(three[1], "presagio", "the client's secret", "192.0.2.3").status_code == 200


def test_a_header_that_the_client_wrote_itself_does_not_make_it_another_one(
    three: list[httpx.Client],
) -> None:
    # As the balancer hands it on: what came, and then whom it came from.
    answers = [
        _sign_in(three[i % 3], f"name-{i}", "wrong", f"203.0.113.{i}, 192.0.2.4") for i in range(9)
    ]
    assert Counter(answer.status_code for answer in answers) == {401: 6, 429: 3}


def test_the_same_outcomes_at_once_at_every_replica_are_taken_once(
    settings: Settings, three: list[httpx.Client], spec: MachineSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    written: list[str] = []
    write: Callable[..., Any] = ObjectStore.write

    def counted(store: ObjectStore, bucket: str, key: str, *rest: Any) -> Any:
        written.append(key)
        return write(store, bucket, key, *rest)

    monkeypatch.setattr(ObjectStore, "write", counted)
    outcome = {"request_id": 20, "features": spec.example, "failure": True, "mode": "osf"}
    ask = [
        partial(
            three[i % 3].post, "/feedback", json={"outcomes": [outcome]},
            headers={"Idempotency-Key": "the same"},
        )
        for i in range(20)
    ]  # fmt: skip
    answers = at_once(ask)
    assert Counter(answer.status_code for answer in answers) == {202: 20}
    (keys,) = {tuple(answer.json()["keys"]) for answer in answers}
    # Once what was predicted, and once the file for the intake.
    assert len(written) == 2
    found = {each.key for each in open_store(settings).list(settings.s3_bucket, "incoming/")}
    assert set(keys) <= found
    # Another body under the key is other content, as before.
    other = three[0].post(
        "/feedback", json={"outcomes": [outcome | {"failure": False, "mode": None}]},
        headers={"Idempotency-Key": "the same"},
    )  # fmt: skip
    assert other.status_code == 202
    assert other.json()["keys"] != list(keys)


def test_without_the_database_passwords_stay_limited_and_the_rest_goes_on(
    services: RunningServices, settings: Settings, three: list[httpx.Client], spec: MachineSpec
) -> None:
    name = f"line-{uuid4().hex[:6]}"
    with opened_accounts(settings) as accounts:
        accounts.put(make_account(name, "client", "its secret", ("predict",)))
    assert _sign_in(three[0], name, "its secret", "192.0.2.5").status_code == 200
    with as_superuser(services) as connection:
        connection.execute("ALTER ROLE presagio_api NOLOGIN")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'presagio_api'"
        )
        try:
            # It was seen here before; the other replica cannot know it, and says so.
            assert _sign_in(three[0], name, "its secret", "192.0.2.5").status_code == 200
            unknown = _sign_in(three[1], name, "its secret", "192.0.2.5")
            assert unknown.status_code == 503
            assert unknown.json()["type"] == "urn:presagio:problem:accounts-unavailable"
            guesses = [_sign_in(three[1], "presagio", "no", "192.0.2.6") for _ in range(8)]
            assert [answer.status_code for answer in guesses] == [401] * 6 + [429] * 2
            outcome = {"features": spec.example, "failure": False, "request_id": 21}
            assert three[1].post("/feedback", json={"outcomes": [outcome]}).status_code == 202
            body = {"request_id": 1, "features": dict(spec.example)}
            assert three[1].post("/predict", json=body).status_code == 200
        finally:
            connection.execute("ALTER ROLE presagio_api LOGIN")
    # Asked again by themselves; from another address each time, since these are counted.
    until, asked = time.monotonic() + 20.0, 0
    while any(one.is_error for one in _sign_ins(three, name, "its secret", f"192.0.2.{7 + asked}")):
        assert time.monotonic() < until
        asked += 1
        time.sleep(0.5)
