"""The baseline of the watcher: an event trigger for an AssetWatcher."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent


class IncomingEvent(BaseEventTrigger):
    """Fires each time another file is the first one below the prefix."""

    def __init__(self, bucket: str, incoming: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bucket = bucket
        self.incoming = incoming

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        return "incoming_event.IncomingEvent", {"bucket": self.bucket, "incoming": self.incoming}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List the prefix, and tell of each new first file."""
        from presagio.ingest.incoming import incoming_files  # noqa: PLC0415
        from presagio.settings import Prefixes, load_settings  # noqa: PLC0415
        from presagio.storage.objects import open_store  # noqa: PLC0415

        settings = await asyncio.to_thread(load_settings)
        store = await asyncio.to_thread(open_store, settings)
        prefixes = Prefixes(bucket=self.bucket, incoming=self.incoming)
        announced = None
        while True:
            first = await asyncio.to_thread(next, incoming_files(store, prefixes), None)
            if first is not None and first != announced:
                yield TriggerEvent({"key": first.key})
            announced = first
            await asyncio.sleep(settings.watch_poll_s)
