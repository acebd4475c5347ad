"""Whether there is enough to learn from: the labelled rows that no version has been trained on."""

from presagio.ingest.curated import labelled_rows, refuse_blocked
from presagio.ingest.filing import Intake
from presagio.storage.promotions import Promotions


def count_new_rows(
    intake: Intake, promotions: Promotions, *, model_name: str, wanted: int
) -> dict[str, int]:
    """Count the labelled rows that no version which the gate has decided on was trained on.

    Parameters
    ----------
    intake
        Where the curated rows are.
    promotions
        The decisions, which name the newest receipt that each version was trained on.
    model_name
        Name of the registered model.
    wanted
        How many rows are wanted.

    Returns
    -------
    dict
        ``new_rows``, ``wanted`` and ``after``, the newest receipt that was learned from. Where
        all new rows together, labelled or not, are fewer than wanted they stand for the count:
        no object has to be read then.

    Raises
    ------
    DataError
        If a file that was refused whole keeps training from starting.
    StorageError
        If store or ledger cannot be reached.
    """
    refuse_blocked(intake)
    after = promotions.newest_receipt(model_name)
    rows = intake.ledger.rows_after(
        intake.prefixes.bucket, after, wanted=wanted, but_below=intake.events_prefix
    )
    if rows >= wanted:
        rows = sum(len(found) for found in labelled_rows(intake, after=after))
    return {"new_rows": rows, "wanted": wanted, "after": after}
