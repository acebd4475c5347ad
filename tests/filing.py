"""A file that is put into the bucket and filed."""

from presagio.ingest.filing import Intake, file_object
from presagio.storage.receipt import Receipt


def file_body(intake: Intake, name: str, body: bytes) -> Receipt:
    """Put a file below the incoming prefix, file it, and return its receipt."""
    intake.store.write(intake.prefixes.bucket, f"incoming/{name}", body)
    receipt = file_object(intake, f"incoming/{name}")
    assert receipt is not None
    return receipt
