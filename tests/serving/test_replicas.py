"""What replicas of the API agree on: accounts, wrong passwords, what was taken."""

import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from presagio.serving.auth.accounts import make_account, write_accounts
from presagio.serving.auth.shared_accounts import added_accounts
from presagio.settings import Settings
from tests.conftest import RunningServices
from tests.serving.replicas import as_owner, at_once, replica_settings, replicas

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(services: RunningServices, tmp_path: Path) -> Settings:
    return replica_settings(services, tmp_path)


@pytest.fixture
def homes(tmp_path: Path) -> list[Path]:
    return [tmp_path / name for name in ("one", "two", "three")]


def _sign_in(
    client: httpx.Client, name: str, secret: str, kind: str = "client", **headers: str
) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    if kind == "user":
        form = {"username": name, "password": secret}
    return client.post("/token", data=form, headers=headers)


def test_an_account_is_known_to_every_replica_within_a_second_and_gone_from_every_one(
    settings: Settings, homes: list[Path]
) -> None:
    accounts = added_accounts(settings)
    with replicas(settings, homes) as clients:
        assert {_sign_in(one, "line-4", "its secret").status_code for one in clients} == {401}
        accounts.put(make_account("line-4", "client", "its secret", ("predict",)))
        added = time.monotonic()
        answers = at_once([lambda c=one: _sign_in(c, "line-4", "its secret") for one in clients])
        assert time.monotonic() - added < 1.0
        assert [answer.status_code for answer in answers] == [200] * 3
        assert {answer.json()["scope"] for answer in answers} == {"predict"}
        assert accounts.remove("line-4")
        assert {_sign_in(one, "line-4", "its secret").status_code for one in clients} == {401}
        # What it was given before holds until it expires, as without a database.
        token = {"Authorization": f"Bearer {answers[0].json()['access_token']}"}
        assert {one.get("/model", headers=token).status_code for one in clients} == {200}


def test_the_file_of_accounts_is_imported_once(settings: Settings, homes: list[Path]) -> None:
    file = homes[0] / "accounts.json"
    write_accounts(file, (make_account("line-1", "client", "from the file", ("predict",)),))
    kept = file.read_bytes()
    with replicas(settings, homes) as clients:
        assert [_sign_in(one, "line-1", "from the file").status_code for one in clients] == [
            200
        ] * 3
    assert added_accounts(settings).remove("line-1")
    with replicas(settings, homes) as clients:
        # The file is where it was, and what was removed since does not come back with it.
        assert [_sign_in(one, "line-1", "from the file").status_code for one in clients] == [
            401
        ] * 3
    assert file.read_bytes() == kept


def test_wrong_passwords_are_counted_over_all_replicas(
    settings: Settings, homes: list[Path]
) -> None:
    settings = settings.model_copy(update={"token_attempts": 6})
    with replicas(settings, homes) as clients:
        calls = [lambda c=one: _sign_in(c, "admin", "wrong", "user") for one in clients * 10]
        answers = at_once(calls)
        assert Counter(answer.status_code for answer in answers) == {400: 6, 429: 24}
        right = _sign_in(clients[0], "admin", "the admin's password", "user")
        assert right.status_code == 429
        assert 1 <= int(right.headers["retry-after"]) <= 60


def test_without_the_database_passwords_stay_limited_and_predictions_go_on(
    services: RunningServices, settings: Settings, homes: list[Path]
) -> None:
    settings = settings.model_copy(update={"token_attempts": 4, "token_account_attempts": 8})
    added_accounts(settings).put(make_account("line-4", "client", "its secret", ("predict",)))
    with replicas(settings, homes[:2]) as clients, as_owner(services) as connection:
        assert _sign_in(clients[0], "line-4", "its secret").status_code == 200
        try:
            connection.execute("ALTER TABLE api_attempts RENAME TO hidden_attempts")
            connection.execute("ALTER TABLE api_accounts RENAME TO hidden_accounts")
            # Seen before by this replica; the other one cannot know it, and says so.
            assert _sign_in(clients[0], "line-4", "its secret").status_code == 200
            unknown = _sign_in(clients[1], "line-4", "its secret")
            assert unknown.status_code == 503
            assert unknown.json()["type"] == "urn:presagio:problem:accounts-unavailable"
            codes = [_sign_in(clients[1], "admin", "no", "user").status_code for _ in range(8)]
            assert codes == [400] * 4 + [429] * 4
            assert clients[1].get("/model").status_code == 200
        finally:
            connection.execute("ALTER TABLE hidden_attempts RENAME TO api_attempts")
            connection.execute("ALTER TABLE hidden_accounts RENAME TO api_accounts")
        # It is asked again by itself.
        until = time.monotonic() + 10.0
        while (answer := _sign_in(clients[1], "line-4", "its secret")).status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.2)
        # The wrong passwords before came from the same address.
        assert answer.status_code == 429
