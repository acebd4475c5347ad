"""Files that were filed are checked again under another machine spec."""

from dataclasses import replace

import pytest

from presagio.errors import NotFoundError
from presagio.ingest.again import check_again, outdated, require_receipts
from presagio.ingest.filing import STEPS, Intake, Step
from presagio.ingest.verify import verify
from presagio.machine.spec import MachineSpec
from presagio.storage.receipt import Receipt
from tests.filing import file_body
from tests.ingest.intake_state import read, state

pytestmark = pytest.mark.integration


def _wider(intake: Intake) -> Intake:
    """An intake whose machine spec takes rows that were out of range."""
    said = intake.spec.model_dump()
    for feature in said["features"]:
        feature["range"] = (-1e9, 1e9)
    return replace(intake, spec=MachineSpec.model_validate(said))


def _out_of_range(intake: Intake) -> bytes:
    """A file that is refused whole, and taken under the wider spec: other objects come of it."""
    header = ",".join(intake.spec.input_names)
    rows = (f"9000,310,1500,40,{i},true,false" for i in range(30))
    return "\n".join([header, *rows]).encode()


def test_the_same_bytes_have_another_verdict_under_another_spec(
    intake: Intake, receipt: Receipt
) -> None:
    refused = file_body(intake, "hot.csv", _out_of_range(intake))
    assert refused.outcome.verdict == "quarantined"
    wide = _wider(intake)
    assert list(outdated(wide)) == [receipt.id, refused.id]
    done = {one.before.id: one.after for one in check_again(wide, outdated(wide))}
    taken = done[refused.id]
    assert taken is not None
    assert (taken.outcome.verdict, taken.outcome.rows_processed) == ("processed", 30)
    assert taken.outcome.notes["spec_sha256"] == wide.spec.digest
    assert (taken.created_at, taken.identity) == (refused.created_at, refused.identity)
    assert not outdated(wide)
    # What came of it before is gone, and nothing else.
    report = verify(wide, deep=True)
    assert report.is_clean, report.differences
    assert report.rows_in == report.rows_processed + report.rows_quarantined
    back = [one.after for one in check_again(intake, outdated(intake))]
    assert [found.outcome.verdict for found in back if found] == ["processed", "quarantined"]
    assert verify(intake, deep=True).is_clean


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("read", "claimed")])
def test_a_kill_at_any_step_is_made_good_by_once_more(intake: Intake, step: Step) -> None:
    receipt = file_body(intake, "hot.csv", _out_of_range(intake))
    wide = _wider(intake)

    def kill(at: Step) -> None:
        if at == step:
            raise _KilledError

    try:
        list(check_again(replace(wide, on_step=kill), [receipt.id]))
    except _KilledError:
        pass
    else:
        assert step in ("recorded", "removed", "quarantine_written")
    assert all(one.after for one in check_again(wide, [receipt.id]))
    assert verify(wide, deep=True).is_clean
    once = state(wide)
    assert all(one.after for one in check_again(wide, [receipt.id]))
    assert state(wide) == once


def test_what_cannot_be_checked_again_says_why_and_keeps_no_other(
    intake: Intake, receipt: Receipt
) -> None:
    copy = file_body(intake, "copy.csv", read(intake, receipt.outcome.archive_key) or b"")
    stored = intake.store.head(intake.prefixes.bucket, receipt.outcome.archive_key)
    assert stored is not None
    intake.store.delete_unchanged(intake.prefixes.bucket, stored)
    other = file_body(intake, "other.csv", b"a,b\n1,2\n")
    found = list(check_again(intake, [receipt.id, copy.id, other.id]))
    assert [one.after is None for one in found] == [True, True, False]
    assert "is gone" in str(found[0].message)
    assert f"receipt {receipt.id}" in str(found[1].message)
    with pytest.raises(NotFoundError, match="no receipt 99"):
        require_receipts(intake, [99_999_999])
