"""From the moment on no request is answered by the old model, whatever a timer does."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from presagio.machine.spec import load_spec
from presagio.serving.champion.agreement import Moment
from presagio.serving.champion.served import Served, load_fallback
from presagio.serving.champion.switch import Switch


def _models() -> tuple[Served, Served]:
    old = load_fallback(load_spec())
    return old, Served(old.predictor, "model", "2", "registry", confirmed=True)


def test_before_it_closes_the_old_one_answers_and_from_when_it_opens_the_new_one() -> None:
    old, new = _models()
    switch = Switch(old)
    begin = time.monotonic()
    moment = Moment(begin + 0.15, begin + 0.19)
    seen: list[tuple[float, float, Served | None]] = []

    def ask() -> None:
        while time.monotonic() < begin + 0.3:
            asked = time.monotonic()
            found = switch.served
            seen.append((asked, time.monotonic(), found))
            time.sleep(0.001)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    late = switch.take(new, moment)
    for thread in asking:
        thread.join()
    assert 0 <= late < 0.1
    # Old answers are asked for before it closes; new ones are given after it has opened.
    assert all(asked < moment.closes for asked, _, found in seen if found is old)
    assert all(given >= moment.opens for _, given, found in seen if found is new)
    assert {id(found) for _, _, found in seen} == {id(old), id(new)}


def test_a_request_takes_it_where_nothing_else_does() -> None:
    old, new = _models()
    switch = Switch(old)
    now = time.monotonic()
    # As if the thread that waits for the moment were not given the processor any more.
    switch._coming = Moment(now - 1, now - 1), new
    assert switch.current is old
    assert switch.served is new
    assert switch.current is new


def test_without_a_moment_or_with_one_of_another_clock_it_is_served_now() -> None:
    old, new = _models()
    for moment in (None, Moment(time.monotonic() + 3600, time.monotonic() + 3601)):
        switch = Switch(old)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(switch.take, new, moment).result(1) < 0.5
        assert switch.served is new
