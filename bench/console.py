"""Pages of the console at 1,000 units and 10 million readings, alone and with 50 people at once.

A page's time is from its request to the last byte of its HTML, on the machine that serves it, with
scripts and pictures left out, which a browser keeps.
"""

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa

from bench.report import table, write
from bench.running import percentile
from bench.servers import Server, running, services
from bench.sizes import Size
from bench.watched_units import SPEC, Plant, lay_down
from presagio.console.addresses import address
from presagio.console.sessions import Sessions
from presagio.ingest.compaction import compact
from presagio.ingest.opening import open_intake
from presagio.jobs.compact import rules_of
from presagio.settings import Settings
from presagio.stack.layout import Layout
from presagio.stack.ports import free_ports
from presagio.storage.database import open_database
from presagio.storage.fleets import find_fleet

_NAMES = frozenset({"postgres", "s3", "databases", "buckets"})
_PEOPLE = 50
_LIMITS_MS = {"Shift": 300, "Unit": 500}
Times = dict[str, list[float]]


@dataclass(frozen=True)
class _Person:
    """Somebody who is signed in, with a browser that keeps its connection."""

    client: httpx.Client
    fleet: str
    units: list[str]
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def address_of(self, page: str) -> str:
        """Return the address of a page; of a unit by chance."""
        unit = self.chance.choice(self.units)
        known = {
            "Shift": address(), "Shift, updating itself": address("shift", "units"),
            "Shift, one state, searched for": address(state="watch", search=unit[-2:]),
            "Unit": address("units", self.fleet, unit),
            "Unit, 5,000 readings": address("units", self.fleet, unit, count=5000),
            "Alarms": address("alarms"), "Did it help?": address("helped"),
            "Files": address("files"),
        }  # fmt: skip
        return known[page]

    def open(self, page: str) -> float:
        """Open a page; how long it took, in milliseconds."""
        where, began = self.address_of(page), time.perf_counter()
        answer = self.client.get(where)
        took = (time.perf_counter() - began) * 1000.0
        assert answer.status_code == httpx.codes.OK, f"{where}: {answer.status_code}"
        return took


_PAGES = (
    "Shift", "Shift, updating itself", "Shift, one state, searched for", "Unit",
    "Unit, 5,000 readings", "Alarms", "Did it help?", "Files",
)  # fmt: skip


def _alone(person: _Person, requests: int) -> Times:
    """Open each page again and again, one after another."""
    for page in _PAGES:
        # What the first one reads is kept for the others.
        person.open(page)
    return {page: [person.open(page) for _ in range(requests)] for page in _PAGES}


@dataclass(frozen=True)
class _Rhythm:
    """For how long people work, how often each opens a page, and how often that looks for news."""

    seconds: float
    page_s: float
    refresh_s: float


def _stay(person: _Person, rhythm: _Rhythm, times: Times) -> None:
    """Open pages for a while, Shift and Unit in turn, with what an open page asks by itself."""
    until = time.monotonic() + rhythm.seconds
    time.sleep(person.chance.uniform(0.0, rhythm.page_s))
    pages = ["Shift", "Unit"]
    person.chance.shuffle(pages)
    while time.monotonic() < until:
        for page in pages:
            opened = time.monotonic()
            times[page].append(person.open(page))
            left = opened + rhythm.page_s
            while page == "Shift" and time.monotonic() + rhythm.refresh_s < left:
                time.sleep(rhythm.refresh_s)
                update = "Shift, updating itself"
                times[update].append(person.open(update))
            time.sleep(max(0.0, left - time.monotonic()))


def _together(people: list[_Person], rhythm: _Rhythm) -> Times:
    """Let all of them work at once."""
    times: Times = defaultdict(list)
    threads = [threading.Thread(target=_stay, args=(one, rhythm, times)) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _at_one_moment(people: list[_Person]) -> Times:
    """Let all of them ask for the same page in the same moment."""
    ready = threading.Barrier(len(people))

    def ask(person: _Person, page: str) -> float:
        ready.wait()
        return person.open(page)

    with ThreadPoolExecutor(len(people)) as pool:
        return {page: [*pool.map(ask, people, [page] * len(people))] for page in ("Shift", "Unit")}


def _rows(times: Mapping[str, list[float]], *, limited: bool) -> list[tuple[object, ...]]:
    rows = list[tuple[object, ...]]()
    for page in (page for page in _PAGES if page in times):
        found = times[page]
        limit = f"{_LIMITS_MS[page]} ms" if limited and page in _LIMITS_MS else ""
        rows.append(
            (page, len(found), f"{statistics.median(found):.0f} ms",
             f"{percentile(found, 0.95):.0f} ms", f"{max(found):.0f} ms", limit)
        )  # fmt: skip
        print(*rows[-1], sep="; ", flush=True)
    return rows


def _people(settings: Settings, engine: sa.Engine, port: int, plant: Plant) -> list[_Person]:
    """Sign people in, as somebody does whose password was verified."""
    sessions, people = Sessions(engine, settings), list[_Person]()
    fleet = find_fleet(settings).name
    for number in range(_PEOPLE):
        session = sessions.begin(f"person {number}", ("view",), None)
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60.0,
            cookies={f"presagio_session_{port}": session.secret},
        )  # fmt: skip
        people.append(_Person(client, fleet, plant.names, random.Random(number)))
    return people


def _measured(settings: Settings, engine: sa.Engine, port: int, plant: Plant, size: Size) -> str:
    people = _people(settings, engine, port, plant)
    rhythm = _Rhythm(
        size.pick(120.0, 30.0, 1.0), size.pick(10.0, 10.0, 0.5), settings.console_refresh_seconds
    )
    header = ("page", "requests", "median", "p95", "slowest", "p95 at most")
    alone = table(header, _rows(_alone(people[0], size.pick(100, 40, 2)), limited=True))
    some = people if size is not Size.SMOKE else people[:3]
    together = table(header, _rows(_together(some, rhythm), limited=True))
    moment = table(header[:-1], [row[:-1] for row in _rows(_at_one_moment(some), limited=False)])
    for person in people:
        person.client.close()
    return (
        f"One person, one page after another:\n\n{alone}\n\n{len(some)} people at once. Each opens "
        f"a page every {rhythm.page_s:g} s, Shift and Unit in turn; an open Shift page looks for "
        f"what is new every {rhythm.refresh_s:g} s:\n\n{together}\n\n"
        f"All {len(some)} in the same moment:\n\n{moment}"
    )


def run(size: Size) -> None:
    """Measure, and write the tables."""
    plant = Plant(*size.pick((1000, 1000), (1000, 10), (20, 3)))
    os.environ["PRESAGIO_MACHINE_SPEC"] = str(SPEC)
    ports = free_ports()
    with (
        tempfile.TemporaryDirectory(prefix="presagio-bench-") as folder,
        services(Path(folder), ports, _NAMES) as settings,
    ):
        engine, intake = open_database(settings), open_intake(find_fleet(settings))
        began = time.monotonic()
        lay_down(intake, engine, settings, plant, Layout(Path(folder)).objects)
        # As it is done each night.
        done = compact(intake, rules_of(settings))
        print(f"{plant.readings:,} readings laid down in {time.monotonic() - began:.0f} s", done)
        console = Server(
            "console",
            [sys.executable, "-m", "presagio", "console", "--port", str(ports.console),
             "--home", folder],
            ports.console, ready="/health/ready",
        )  # fmt: skip
        with running(console) as process:
            found = _measured(settings, engine, ports.console, plant, size)
            memory = process.memory_info().rss / 2**20
        intake.ledger.close()
        engine.dispose()
    text = (
        f"{plant.units:,} units with {plant.readings:,} readings in {plant.files:,} files, of "
        f"which {done.files:,} were put together; one console process, which had {memory:.0f} MiB "
        "of memory at the end."
    )
    write("console", f"{text}\n\n{found}", size, after="many_models")
