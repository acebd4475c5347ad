"""Alarms while an attack runs: wrong passwords, webhooks and a registry that hangs, half bodies.

Each alarm is explained, so it takes a thread as the attack's requests do. The attackers are another
process on the same machine, and take their share of the cores.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import multiprocessing
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Queue
from pathlib import Path
from typing import Any

import httpx

from bench.report import table, write
from bench.running import percentile
from bench.servers import READING, Server, presagio, running
from bench.serving import places, token
from bench.sizes import Size
from presagio.settings import load_settings
from presagio.settings.private import reveal

_ALARM = {"request_id": 1, "features": READING | {"torque_nm": 75.0, "tool_wear_min": 230.0}}
_CLIENTS, _PAUSE_S = 4, 0.02
_LIMIT_MS = 50.0
_GUESSES, _WEBHOOKS, _HALVES = 250, 20, 270


@dataclass(frozen=True)
class Alarms:
    """Milliseconds of alarms that were answered, and answers that were none."""

    ms: list[float]
    failed: int


@contextmanager
def hanging() -> Iterator[str]:
    """Run a registry that takes connections and answers nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        for connection in kept:
            connection.close()


async def _guess(port: int, _secret: str) -> Counter[str]:
    form = {"grant_type": "password", "username": "admin", "password": "guess"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        answers = await asyncio.gather(
            *(client.post(f"http://127.0.0.1:{port}/token", data=form) for _ in range(_GUESSES))
        )
    return Counter(str(answer.status_code) for answer in answers)


async def _wake(port: int, secret: str) -> Counter[str]:
    body, moment = b"{}", str(int(time.time()))
    signed = hmac.digest(secret.encode(), f"1.{moment}.".encode() + body, hashlib.sha256)
    headers = {
        "x-mlflow-delivery-id": "1", "x-mlflow-timestamp": moment,
        "x-mlflow-signature": f"v1,{base64.b64encode(signed).decode()}",
    }  # fmt: skip
    async with httpx.AsyncClient(timeout=60, headers=headers) as client:
        url = f"http://127.0.0.1:{port}/model/webhook"
        answers = await asyncio.gather(*(client.post(url, content=body) for _ in range(_WEBHOOKS)))
    return Counter(str(answer.status_code) for answer in answers)


async def _halve(port: int, _secret: str) -> Counter[str]:
    head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_HALVES)]
    for i, (_, writer) in enumerate(streams):
        writer.write(head % (b"/token", b"/model/webhook")[i % 2])
    answers = await asyncio.gather(*(reader.read() for reader, _ in streams))
    for _, writer in streams:
        writer.close()
    return Counter(answer[9:12].decode() for answer in answers)


_Attack = Callable[[int, str], Coroutine[Any, Any, Counter[str]]]
_ATTACKS: dict[str, tuple[_Attack, ...]] = {
    "none": (),
    f"{_GUESSES} wrong passwords at once": (_guess,),
    f"{_WEBHOOKS} webhooks at once": (_wake,),
    f"{_HALVES} half-sent bodies": (_halve,),
    "all three": (_guess, _wake, _halve),
}


def _attack(
    attacks: tuple[_Attack, ...], port: int, secret: str, results: "Queue[list[Counter[str]]]"
) -> None:
    async def all_of_them() -> list[Counter[str]]:
        return await asyncio.gather(*(attack(port, secret) for attack in attacks))

    results.put(asyncio.run(all_of_them()))


def _alarms(server: Server, headers: Mapping[str, str], ending: threading.Event) -> Alarms:
    """Ask for alarms until told to end."""
    ms: list[float] = []
    failed = 0
    body = json.dumps(_ALARM).encode()
    with httpx.Client(headers=dict(headers), timeout=60) as client:
        while not ending.is_set():
            began = time.perf_counter()
            answer = client.post(server.url, content=body)
            ms.append((time.perf_counter() - began) * 1e3)
            alarm = answer.status_code == httpx.codes.OK and answer.json()["diagnosis"]
            failed += not alarm
            time.sleep(_PAUSE_S)
    return Alarms(ms, failed)


def _measure(
    server: Server,
    headers: Mapping[str, str],
    attacks: tuple[_Attack, ...],
    secret: str,
    rounds: int,
) -> tuple[Alarms, Counter[str]]:  # fmt: skip
    ending, found = threading.Event(), list[Alarms]()
    threads = [
        threading.Thread(target=lambda: found.append(_alarms(server, headers, ending)))
        for _ in range(_CLIENTS)
    ]
    for thread in threads:
        thread.start()
    context, answers = multiprocessing.get_context("spawn"), Counter[str]()
    for _ in range(rounds):
        results = context.Queue()
        process = context.Process(target=_attack, args=(attacks, server.port, secret, results))
        process.start()
        for counted in results.get():
            answers += counted
        process.join()
    time.sleep(1)
    ending.set()
    for thread in threads:
        thread.join()
    whole = Alarms([ms for one in found for ms in one.ms], sum(one.failed for one in found))
    return whole, answers


def run(size: Size) -> None:
    """Measure alarms during each attack, and write the table."""
    rounds = size.pick(5, 3, 1)
    rows: list[tuple[object, ...]] = []
    with places() as (home, ports), hanging() as registry:
        server = presagio(home, ports)
        server = replace(server, env={**server.env, "PRESAGIO_MLFLOW_URL": registry})
        headers = {"Content-Type": "application/json"} | token(home)
        secret = _secret(home)
        # To see that it runs, the last one is enough: all of them together.
        for name, attacks in list(_ATTACKS.items())[size.pick(0, 0, -1) :]:
            with running(server):
                alarms, answers = _measure(server, headers, attacks, secret, rounds)
            statuses = ", ".join(f"{n} x {status}" for status, n in sorted(answers.items())) or "-"
            rows.append((
                name, len(alarms.ms), alarms.failed, f"{percentile(alarms.ms, 0.5):.1f}",
                f"{percentile(alarms.ms, 0.99):.1f}", f"{max(alarms.ms):.1f}", statuses,
            ))  # fmt: skip
            print(rows[-1], flush=True)
    header = (
        "attack", "alarms", "failed", "p50 ms", "p99 ms", "longest ms", "answers to the attack",
    )  # fmt: skip
    note = (
        f"One worker, {_CLIENTS} clients that ask for explained alarms, from the same machine; "
        f"each attack {rounds} times, one after the other, while the registry takes connections "
        f"and answers nothing. Bar: p99 of {_LIMIT_MS:.0f} ms during each."
    )
    write("attack", f"{note}\n\n{table(header, rows)}", size, after="swapping")


def _secret(home: Path) -> str:
    return reveal(load_settings(home).mlflow_webhook_secret, "PRESAGIO_MLFLOW_WEBHOOK_SECRET")
