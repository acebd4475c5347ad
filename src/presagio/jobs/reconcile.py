"""Compare ledger and buckets, and repair what can be repaired."""

import logging
from collections import Counter

from presagio.errors import DataError
from presagio.ingest.filing import Intake
from presagio.ingest.verify import verify

_log = logging.getLogger(__name__)


def reconcile(intake: Intake, *, deep: bool, repair: bool) -> dict[str, int]:
    """Compare ledger and buckets, and log each difference.

    Parameters
    ----------
    intake
        Ledger and buckets.
    deep
        Whether to read every object and compare its SHA-256.
    repair
        Whether to repair what can be repaired; nothing is lost by it.

    Returns
    -------
    dict
        Counts of ``receipts``, ``objects``, and of each kind of difference that was repaired.

    Raises
    ------
    DataError
        If differences are left.
    StorageError
        If store or ledger cannot be reached.
    """
    report = verify(intake, deep=deep, repair=repair)
    for difference in report.differences:
        level = logging.INFO if difference.repaired else logging.ERROR
        state = "repaired" if difference.repaired else "left"
        _log.log(
            level, "%s (%s): %s: %s", difference.kind, state, difference.key, difference.message
        )
    left = [difference for difference in report.differences if not difference.repaired]
    if left:
        raise DataError(
            f"{len(left)} differences between ledger and buckets are left, the first: "
            f"{left[0].key}: {left[0].message}; see: presagio ingest verify"
        )
    repaired = Counter(str(difference.kind) for difference in report.differences)
    return {"receipts": report.receipts, "objects": report.objects, **repaired}
