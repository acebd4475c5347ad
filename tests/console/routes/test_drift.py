"""Drift: the newest report, column by column, and those before it."""

from datetime import UTC, datetime, timedelta

import pytest

from presagio.console.addresses import address
from presagio.lifecycle.drift_history import DriftHistory, KeptReport
from presagio.lifecycle.drift_report import ColumnDrift, DriftReport, Verdict
from presagio.settings import MONITORING, Settings
from presagio.storage.objects import open_store
from tests.console.browser import Browser
from tests.console.conftest import ServeConsole

pytestmark = pytest.mark.integration
_HOSTILE = "<script>alert(1)</script>"
_AT = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def _column(name: str, verdict: Verdict, worth: float = 2.0) -> ColumnDrift:
    shares = (("to 300", 0.75, 0.25), ("300 to", 0.25, 0.75))
    return ColumnDrift(
        name, "KS", 5.4, 4.1, 0.31, 0.0, worth, shares, (300.0,), f"{name} [K]", verdict
    )


@pytest.fixture(scope="module")
def reports(console_settings: Settings) -> DriftHistory:
    """Two reports, and an object between them that is none."""
    store, bucket = open_store(console_settings), console_settings.data_bucket
    history = DriftHistory(store, bucket, console_settings.place(MONITORING))
    for day, verdict in enumerate(("drift", "cannot tell")):
        columns = (_column("airtemperature_k", verdict), _column(_HOSTILE, "no drift"))  # type: ignore[arg-type]
        report = DriftReport(6400, 800, columns)
        history.keep(KeptReport(_AT + timedelta(days=day), f"svm_{_HOSTILE}", str(day + 1), report))
    for name in ("drift-20260301T070000Z.json", "drift-99999999T999999Z.json"):
        store.write(bucket, f"{console_settings.place(MONITORING)}{name}", b"{}")
    return history


@pytest.mark.usefixtures("reports")
def test_the_newest_report_is_shown_with_words_charts_and_those_before(
    serve_console: ServeConsole,
) -> None:
    with serve_console(console_units=(), plant_time_zone="Europe/Madrid") as make:
        browser = make()
        browser.sign_in("viewer")
        page = browser.get("/drift").text
        assert "cannot tell: 2 independent readings" in page
        assert "[°C]" in page
        assert ">26.85</text>" in page
        assert "2 Mar 2026, 07:00" in page
        earlier = address("drift", fleet="ai4i2020", at="20260301T060000Z").replace("&", "&amp;")
        assert f'href="{earlier}"' in page
        assert "<script>alert" not in page
        spanish = browser.get("/drift", **{"accept-language": "es"}).text
        assert "no se puede saber: 2 lecturas independientes" in spanish
        assert ">26,85</text>" in spanish
        assert "badge alarm" in browser.get(address("drift", at="20260301T060000Z")).text


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("at", ["20200101T000000Z", "yesterday", "20260301T070000Z", "../x"])
def test_a_report_that_there_is_not_is_a_page_that_says_so(browser: Browser, at: str) -> None:
    browser.sign_in("viewer")
    assert browser.get(address("drift", at=at)).status_code == 404


def test_what_is_kept_is_read_back_as_it_was(reports: DriftHistory) -> None:
    newest = reports.times()[0]
    assert newest == _AT + timedelta(days=1)
    kept = reports.read(newest)
    assert kept.report.columns[0] == _column("airtemperature_k", "cannot tell")
    assert (kept.at, kept.version) == (newest, "2")
