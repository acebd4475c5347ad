"""Files: a verdict before anything is sent, what became of files, release, the original."""

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from presagio.console import uploads
from presagio.console.routes.receipts import attachment
from presagio.console.services import Services
from presagio.console.uploads import Received, intake_of
from presagio.errors import ConflictError, StorageError
from presagio.ingest import filing
from presagio.ingest.filing import Intake, file_object
from presagio.ingest.upload import Uploaded, upload
from presagio.settings import Settings
from presagio.storage.audit import AuditLog
from presagio.storage.receipt import Receipt
from tests.console.browser import Browser, forms_of

pytestmark = pytest.mark.integration

HEADER = "Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],"
HEADER += "Tool wear [min],Machine failure\n"
GOOD, BAD = "L,300.{number:05},310,1500,40,9,0\n", "L,300.{number:05},310,1500,<b>?</b>,9,0\n"
SignedIn = Callable[[str], Browser]


@pytest.fixture(scope="module")
def intake(console_settings: Settings) -> Iterator[Intake]:
    # Who files has more rights than the console.
    services = Services(console_settings.model_copy(update={"console_database_url": None}))
    try:
        fleet = services.fleets.default
        assert fleet is not None
        yield intake_of(services, fleet)
    finally:
        services.close()


def rows(first: int, good: int, bad: int = 0) -> bytes:
    body = [GOOD.format(number=first + n) for n in range(good)]
    body += [BAD.format(number=first + n) for n in range(bad)]
    return (HEADER + "".join(body)).encode()


def send(
    browser: Browser, action: str, files: dict[str, bytes], page: httpx.Response | None = None,
    **fields: str,
) -> httpx.Response:  # fmt: skip
    """Send files with the form of a page, as a browser without scripts does."""
    page = page or browser.get("/files")
    form = next(given for address, given in forms_of(page) if address == "/files/check")
    data = {"fleet": "ai4i2020", "kind": "readings", **form, **fields}
    data.pop("files", None)
    parts = [("files", (name, body, "text/csv")) for name, body in files.items()]
    return browser.client.post(action, data=data, files=parts)


def filed(intake: Intake, name: str, body: bytes) -> Receipt:
    key = f"incoming/{name}"
    intake.store.write(intake.prefixes.bucket, key, body)
    receipt = file_object(intake, key)
    assert receipt is not None
    return receipt


def test_a_file_is_checked_before_it_is_sent_and_only_then(
    signed_in: SignedIn, intake: Intake
) -> None:
    browser, body = signed_in("operator"), rows(100, 8, 1)
    checked = send(browser, "/files/check", {"line <7>.csv": body})
    assert "8 of 9 rows are good." in checked.text
    assert "line &lt;7&gt;.csv" in checked.text
    assert "&lt;b&gt;?&lt;/b&gt;" in checked.text
    assert "<b>?</b>" not in checked.text
    key = "incoming/line <7>.csv"
    assert intake.store.head(intake.prefixes.bucket, key) is None

    other = send(browser, "/files/send", {"line <7>.csv": rows(100, 9)}, checked)
    assert other.status_code == 409
    assert "is not a file that was checked just now" in other.text

    done = send(browser, "/files/send", {"line <7>.csv": body}, checked)
    assert "Sent." in done.text
    assert "line &lt;7&gt;.csv" in done.text
    stored = intake.store.read(intake.prefixes.bucket, key)
    assert stored is not None
    assert stored[0] == body
    (entry,) = AuditLog(intake.ledger._engine).entries(target=key)
    assert (entry.who, entry.scope, entry.action) == ("operator", "operate", "file.send")

    again = send(browser, "/files/send", {"line <7>.csv": body}, checked)
    assert again.status_code == 409
    assert "waits to be filed" in again.text
    receipt = file_object(intake, key)
    assert receipt is not None
    both = send(browser, "/files/check", {"a.csv": body, "b.csv": rows(150, 2)})
    assert "a.csv" in both.text
    assert "2 of 2 rows are good." in both.text
    page = browser.get(f"/files/{receipt.id}")
    assert "Taken, but for some rows" in page.text
    assert "&lt;b&gt;?&lt;/b&gt;" in page.text
    assert "<b>?</b>" not in page.text


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("x.csv", b"a,b\n1,2\n", "Columns are missing"),
        ("x.csv", b"", "Empty"),
        ("x.exe", b"MZ", "Unknown kind of file"),
        (".csv", b"a", "is never filed"),
        ("~$x.csv", b"a", "is never filed"),
        ("x.csv.gz", gzip.compress(b"0" * (64 << 20)), "Too large"),
        ("x.csv.gz", b"\x1f\x8b no gzip", "Broken or cut off"),
        ("x.parquet", b"PAR1 no parquet PAR1", "Would be refused whole"),
        ("x.xlsx", b"PK no workbook", "Would be refused whole"),
    ],
)
def test_what_would_be_refused_is_refused_with_a_reason(
    signed_in: SignedIn, name: str, body: bytes, words: str
) -> None:
    page = send(signed_in("operator"), "/files/check", {name: body})
    assert page.status_code == 200
    assert words in page.text


SPANISH = {"accept-language": "es"}


def test_the_checker_and_refusals_speak_spanish(signed_in: SignedIn, intake: Intake) -> None:
    browser = signed_in("operator")
    browser.client.headers.update(SPANISH)
    try:
        body = rows(3000, 8, 1) + b"L,1,310,1500,40,9,0\n"
        checked = send(browser, "/files/check", {"es.csv": body}).text
        refused = send(browser, "/files/check", {"es.csv": rows(3100, 1, 3), "x.exe": b"MZ"}).text
        receipt = filed(intake, "es.csv", rows(3200, 8, 1))
        whole = filed(intake, "es-bad.csv", rows(3300, 1, 3))
        pages = [browser.get(f"/files/{each.id}").text for each in (receipt, whole)]
        missing = browser.get("/files/999999999").text
    finally:
        del browser.client.headers["accept-language"]
    number = "torque_nm: se recibió &lt;b&gt;?&lt;/b&gt;; se admite: un número, 0 a 150 Nm"
    assert number in checked
    assert "airtemperature_k: se recibió 1; se admite: un número, 250 a 350 K" in checked
    assert "3 de 4 filas son incorrectas (no es un número: 3)" in refused
    assert "x.exe: se aceptan estos: .csv" in refused
    assert all(number in page for page in pages)
    assert "más del 20 %: algo falla en la exportación; la primera: línea 3" in pages[1]
    assert "no hay ningún recibo 999999999" in missing
    for page in (checked, refused, *pages, missing):
        assert '<span lang="en">' not in page


def test_a_receipt_that_is_older_than_its_sentences_is_marked_as_english(
    signed_in: SignedIn, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing, "with_sentences", lambda notes, *_: dict(notes))
    receipt = filed(intake, "old.csv", rows(3400, 1, 3))
    address = f"/files/{receipt.id}"
    assert '<span lang="en">3 of 4 rows are bad' in signed_in("viewer").get(address, **SPANISH).text
    assert '<span lang="en">' not in signed_in("viewer").get(address).text


def test_of_two_files_of_one_name_at_once_none_is_lost(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one, sent while the first is on its way, would take its place."""
    bodies = [rows(700, 2), rows(800, 2)]
    first, second = (
        Received("export.csv", hashlib.sha256(body).hexdigest(), BytesIO(body)) for body in bodies
    )

    def send_the_other_meanwhile(intake: Intake, path: Path, *, name: str) -> Uploaded:
        monkeypatch.undo()
        with pytest.raises(ConflictError, match="waits to be filed"):
            uploads.send(intake, second, who="eva")
        return upload(intake, path, name=name)

    monkeypatch.setattr(uploads, "upload", send_the_other_meanwhile)
    sent = uploads.send(intake, first, who="ana")
    stored = intake.store.read(intake.prefixes.bucket, sent.key)
    assert stored is not None
    assert stored[0] == bodies[0]
    intake.store.remove(intake.prefixes.bucket, [sent.key])


def test_who_sends_a_file_is_known_before_it_is_sent(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = rows(900, 2)
    one = Received("known.csv", hashlib.sha256(body).hexdigest(), BytesIO(body))
    key = f"{intake.prefixes.incoming}known.csv"

    def fail(_intake: Intake, _path: Path, *, name: str) -> Uploaded:
        (entry,) = intake.ledger.audit().entries(target=key)
        assert (entry.who, entry.action, entry.detail["sha256"]) == ("ana", "file.send", one.sha256)
        raise StorageError(f"no store for {name}")

    monkeypatch.setattr(uploads, "upload", fail)
    with pytest.raises(StorageError, match="no store"):
        uploads.send(intake, one, who="ana")
    actions = [entry.action for entry in intake.ledger.audit().entries(target=key)]
    assert actions == ["file.send.failed", "file.send"]


def test_names_with_folders_stay_in_the_folder_of_the_fleet(
    signed_in: SignedIn, intake: Intake
) -> None:
    browser, body = signed_in("operator"), rows(200, 3)
    files = {"../processed/drives/..\\up.csv": body}
    checked = send(browser, "/files/check", files)
    assert "Sent." in send(browser, "/files/send", files, checked).text
    assert intake.store.head(intake.prefixes.bucket, "incoming/up.csv") is not None
    file_object(intake, "incoming/up.csv")


def test_a_fleet_without_units_takes_no_events_and_no_file_is_no_file(signed_in: SignedIn) -> None:
    browser = signed_in("operator")
    page = send(browser, "/files/check", {"e.csv": b"a\n"}, kind="events")
    assert page.status_code == 422
    assert "has no units and times" in page.text
    assert "Choose a file first." in send(browser, "/files/check", {"": b""}).text
    assert send(browser, "/files/check", {"e.csv": b"a\n"}, fleet="none").status_code == 404


def test_what_blocks_training_is_released_with_a_reason(
    signed_in: SignedIn, intake: Intake
) -> None:
    receipt = filed(intake, "bad.csv", rows(300, 1, 3))
    address = f"/files/{receipt.id}"
    seen = signed_in("viewer").get(address)
    assert "Training waits for this file" in seen.text
    assert not [a for a, _ in forms_of(seen) if a.endswith("/release")]
    assert signed_in("viewer").post(f"{address}/release", {"why": "x"}).status_code == 403

    operator = signed_in("operator")
    page = operator.get(address)
    assert "Too many bad rows" in page.text
    assert page.text.count("Not a number") > 3
    assert operator.submit(page, f"{address}/release", why=" ").status_code == 422
    done = operator.submit(page, f"{address}/release", why="sensor <off>")
    assert "Released: training goes on without this file." in done.text
    assert "sensor &lt;off&gt;" in done.text
    (entry,) = AuditLog(intake.ledger._engine).entries(target=f"receipt {receipt.id}")
    assert (entry.who, entry.action, entry.why) == ("operator", "file.release", "sensor <off>")
    again = operator.submit(page, f"{address}/release", why="again")
    assert "sensor &lt;off&gt;" in again.text


def test_the_original_comes_back_byte_by_byte_as_a_file(
    signed_in: SignedIn, intake: Intake
) -> None:
    body = rows(400, 2)
    receipt = filed(intake, 'ü"; x=y.csv', body)
    answer = signed_in("viewer").get(f"/files/{receipt.id}/original")
    assert answer.content == body
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == attachment('ü"; x=y.csv')
    assert signed_in("viewer").get("/files/999999999/original").status_code == 404


def test_no_name_escapes_from_the_header_of_a_download() -> None:
    header = attachment('a"\r\nSet-Cookie: x; é/..\\b.csv')
    assert re.fullmatch(r"attachment; filename=\"[A-Za-z0-9._-]+\"; filename\*=UTF-8''\S+", header)


def test_receipts_are_shown_in_pages_and_by_verdict(signed_in: SignedIn, intake: Intake) -> None:
    receipts = [filed(intake, f"many-{n}.csv", rows(1000 + n, 1)) for n in range(32)]
    browser = signed_in("viewer")
    first = browser.get("/files")
    assert "many-31.csv" in first.text
    assert "many-0.csv" not in first.text
    (older,) = re.findall(r'href="(/files\?before=[0-9]+)#receipts"', first.text)
    assert "many-0.csv" in browser.get(older).text
    assert "many-31.csv" not in browser.get("/files?verdict=quarantined").text
    assert browser.get("/receipts?verdict=processed").status_code == 200
    for odd in (
        "/files?before=x",
        "/files?fleet=%3Cb%3E&verdict=%27",
        f"/files/{receipts[0].id}?after=-1",
    ):
        assert browser.get(odd).status_code == 200
    assert browser.get("/files/1e9").status_code == 404


def test_more_bad_rows_than_fit_are_on_further_pages(signed_in: SignedIn, intake: Intake) -> None:
    receipt = filed(intake, "pages.csv", rows(2000, 260, 60))
    browser = signed_in("viewer")
    page = browser.get(f"/files/{receipt.id}")
    assert "Bad rows 1 to 50 of 60" in page.text
    assert f"/files/{receipt.id}?after=50" in page.text
    assert "Bad rows 51 to 60 of 60" in browser.get(f"/files/{receipt.id}?after=50").text
