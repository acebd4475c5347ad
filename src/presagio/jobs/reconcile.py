"""Compare ledger and buckets as the settings say; what the daily DAG calls."""

import logging
from collections import Counter

from presagio.errors import DataError
from presagio.ingest.verify import verify
from presagio.jobs.sweep import open_intake
from presagio.settings import load_settings

_log = logging.getLogger(__name__)


def reconcile(*, deep: bool, mend: bool) -> dict[str, int]:
    """Compare ledger and buckets, and log each difference.

    Returns
    -------
    dict
        Counts of ``receipts``, ``objects``, and of each kind of difference that was mended.

    Raises
    ------
    DataError
        If differences are left.
    StorageError
        If store or ledger cannot be reached.
    """
    intake = open_intake(load_settings())
    report = verify(intake, deep=deep, mend=mend)
    intake.ledger.close()
    for difference in report.differences:
        level = logging.INFO if difference.mended else logging.ERROR
        said = "mended" if difference.mended else "left"
        _log.log(
            level, "%s (%s): %s: %s", difference.kind, said, difference.key, difference.message
        )
    left = [difference for difference in report.differences if not difference.mended]
    if left:
        raise DataError(
            f"{len(left)} differences between ledger and buckets are left, the first: "
            f"{left[0].key}: {left[0].message}; see: presagio ingest verify"
        )
    mended = Counter(str(difference.kind) for difference in report.differences)
    return {"receipts": report.receipts, "objects": report.objects, **mended}
