"""Wait in Airflow's triggerer, for incoming files and for filed ones: no worker process waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TaskSuccessEvent, TriggerEvent

from presagio.orchestration import tasks


class IncomingCsvTrigger(BaseTrigger):
    """Fires as soon as a CSV file lies below a prefix, and ends the waiting task by itself."""

    def __init__(self, bucket: str, incoming: str, fleet: str | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bucket, self.incoming, self.fleet = bucket, incoming, fleet

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, from which the triggerer makes this object again."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"bucket": self.bucket, "incoming": self.incoming, "fleet": self.fleet}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List the prefix until there is a file; a failing store fails the task, for a retry."""
        is_waiting, poll_s = await asyncio.to_thread(
            tasks.look_for_files, self.bucket, self.incoming, self.fleet
        )
        while not await asyncio.to_thread(is_waiting):
            await asyncio.sleep(poll_s)
        yield TaskSuccessEvent()


class WaitForIncomingCsv(BaseSensorOperator):
    """A task that waits for a CSV file, from its start to its end in the triggerer."""

    template_fields: Sequence[str] = ("bucket", "incoming")
    start_from_trigger = True

    def __init__(
        self, *, bucket: str, incoming: str, fleet: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bucket, self.incoming = bucket, incoming
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{IncomingCsvTrigger.__module__}.{IncomingCsvTrigger.__qualname__}",
            trigger_kwargs={"bucket": bucket, "incoming": incoming, "fleet": fleet},
            next_method="execute",
        )


class ArrivalsTrigger(BaseTrigger):
    """Fires as soon as a filed object waits to be scored, and ends the waiting task by itself."""

    def __init__(self, fleet: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fleet = fleet

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments, from which the triggerer makes this object again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"fleet": self.fleet}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask the ledger until there is one; one that fails fails the task, for a retry."""
        watched = tasks.watched_arrivals(self.fleet)
        is_waiting, poll_s = await asyncio.to_thread(watched.__enter__)
        try:
            while not await asyncio.to_thread(is_waiting):
                await asyncio.sleep(poll_s)
        finally:
            watched.__exit__(None, None, None)
        yield TaskSuccessEvent()


class WaitForArrivals(BaseSensorOperator):
    """A task that waits for a filed object to score, from its start to its end in the triggerer."""

    start_from_trigger = True

    def __init__(self, *, fleet: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fleet = fleet
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{ArrivalsTrigger.__module__}.{ArrivalsTrigger.__qualname__}",
            trigger_kwargs={"fleet": fleet},
            next_method="execute",
        )
