"""Threads of each kind of work are its own, and so is its queue."""

import ast
import asyncio
import threading
from http import HTTPStatus
from pathlib import Path

import pytest

import presagio.serving
from presagio.serving.executors import Executor
from presagio.serving.http.problems import RefusedError
from presagio.serving.logs import request_id

pytestmark = pytest.mark.unit


def test_what_the_queue_cannot_hold_is_refused_at_once() -> None:
    async def scenario() -> None:
        executor, go = Executor("tests", threads=1, waiting=2), threading.Event()
        calls = [asyncio.create_task(executor.run(go.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused:
            await executor.run(go.wait, 5)
        assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert int(refused.value.headers["Retry-After"]) > 0
        # One that was admitted before is not refused in the middle.
        resumed = asyncio.create_task(executor.resume(go.wait, 5))
        go.set()
        assert await asyncio.gather(*calls, resumed) == [True] * 4
        assert await executor.run(go.wait, 5)
        executor.close()

    asyncio.run(scenario())


def test_a_call_that_nobody_awaits_any_more_holds_its_place_until_it_ends() -> None:
    async def scenario() -> None:
        executor, go = Executor("tests", threads=1, waiting=0), threading.Event()
        call = asyncio.create_task(executor.run(go.wait, 5))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait([call])
        assert executor.full
        go.set()
        while executor.full:
            await asyncio.sleep(0.01)
        executor.close()

    asyncio.run(scenario())


def test_a_failing_call_frees_its_place_and_says_why() -> None:
    async def scenario() -> None:
        executor = Executor("tests", threads=1, waiting=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await executor.run(lambda: 1 // 0)
        executor.close()

    asyncio.run(scenario())


def test_calls_run_in_the_context_of_their_request() -> None:
    async def scenario() -> None:
        executor = Executor("tests", threads=1, waiting=0, background=True)
        request_id.set("one")
        assert await executor.run(request_id.get) == "one"
        executor.close()

    asyncio.run(scenario())


def test_no_code_of_the_api_uses_the_pool_that_everybody_shares() -> None:
    found = []
    for path in Path(presagio.serving.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                if name in {"to_thread", "run_in_threadpool", "run_in_executor", "run_sync"}:
                    found.append(f"{path.name}:{node.lineno}")
            # FastAPI runs routes that are not coroutines in a shared pool.
            if isinstance(node, ast.FunctionDef):
                routes = [
                    decorator
                    for decorator in node.decorator_list
                    if isinstance(decorator, ast.Call)
                    and isinstance(decorator.func, ast.Attribute)
                    and decorator.func.attr in {"get", "post", "put", "delete", "head"}
                ]
                found += [f"{path.name}:{route.lineno}" for route in routes]
    assert found == []
