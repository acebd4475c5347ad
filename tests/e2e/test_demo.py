"""The second half of the demonstration: engines age, one fails, and the alarm came before."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from presagio.jobs.demo_fleet import FLEET
from tests.e2e.stack import Stack

pytestmark = pytest.mark.nightly


def _demo(stack: Stack) -> list[dict[str, Any]]:
    done = stack.call("demo", "--part", "engines", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_engines_age_until_one_fails_and_what_was_filed_is_learned_from(stack: Stack) -> None:
    try:
        first, second = _demo(stack), _demo(stack)
        fleets = stack.call("fleet", "list", "--json").stdout
        assert FLEET in {fleet["name"] for fleet in json.loads(fleets)["fleets"]}
    finally:
        removed = stack.call("fleet", "remove", FLEET)
    assert removed.returncode == 0, removed.stderr
    # The first run has added the fleet and trained its first model, the second has found both.
    assert [_named(events, "fleet")[0]["added"] for events in (first, second)] == [True, False]
    assert [len(_named(events, "trained")) for events in (first, second)] == [2, 1]
    for number, events in enumerate((first, second), start=1):
        (failure,) = _named(events, "failure")
        alarms = [event for event in _named(events, "alarm") if event["unit"] == failure["unit"]]
        assert [alarm["outcome"] for alarm in failure["alarms"]] == ["failure"]
        assert failure["alarms"][0]["alarm"] == alarms[0]["alarm"]
        assert 2 < failure["alarms"][0]["lead_days"] < 7
        # The alarm is seen on its day, not only once the engine has failed.
        of_day = [
            next(unit["state"] for unit in day["units"] if unit["unit"] == failure["unit"])
            for day in _named(events, "day")
        ]
        assert (of_day[0], of_day[-1]) == ("well", "alarm")
        (outcomes,) = _named(events, "outcomes")
        assert (outcomes["failures"], outcomes["caught"]) == (number, number)
        learned = _named(events, "trained")[-1]["decision"]
        assert learned["kind"] in {"promotion", "refusal"}
        # Who opens the page that is named last is asked to sign in, and goes on there.
        unit = _named(events, "addresses")[0]["unit"]
        page = httpx.get(unit)
        assert page.status_code == httpx.codes.UNAUTHORIZED
        assert f'name="back" value="{urlsplit(unit).path}"' in page.text
