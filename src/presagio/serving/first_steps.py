"""The steps of a worker's warm-up: what is imported, made and frozen before it is ready."""

import asyncio
import gc

from presagio.serving.auth.tokens import Authority


def import_what_waits() -> None:
    """Import what routes and threads import at their first use, while all others would wait."""
    # ruff: noqa: PLC0415 - an HTTP client, an S3 client and Polars take 0.56 s of the processor, the
    # application without them 0.66 s: a process that starts answers ``/health/live`` before.
    import presagio.registry.reader
    import presagio.serving.routes.files
    import presagio.storage.objects  # noqa: F401


def freeze_what_stays() -> None:
    """Have garbage collections pass by all that was imported and made so far.

    It stays for the life of the process. A full collection, of which one comes every 20 s under
    load, went through 300,000 objects and held all answers for 75 to 184 ms.
    """
    gc.collect()
    gc.freeze()


def verify_a_token(authority: Authority) -> None:
    """Verify a token, as for the first request."""
    token, _ = authority.issue("warm-up", [])
    asyncio.run(authority.verify(token))
