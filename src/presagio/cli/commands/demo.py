"""The whole loop on a running stack, step by step, with real results."""

import getpass
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import polars as pl
import typer

from presagio.cli.composition import Parts
from presagio.cli.decision_view import print_decision
from presagio.cli.output import Home, say
from presagio.cli.training_view import print_metrics, training_progress
from presagio.errors import StackError, StorageError
from presagio.ingest.filing import Intake
from presagio.ingest.upload import upload, wait_for_receipt
from presagio.jobs.api_client import authorization
from presagio.jobs.promote import promote
from presagio.jobs.train import choose_dataset, train
from presagio.machine.simulation import simulate
from presagio.machine.spec import DEFAULT_SPEC, load_spec
from presagio.registry.links import model_page
from presagio.registry.versions import RegisteredVersion
from presagio.settings import CREDENTIALS_FILE, Settings
from presagio.training.datasets.sources import real_data_file

_SWAP_LIMIT_S = 60.0
# Rows that no working sensor sends, so that the demonstration shows what becomes of such. The
# number makes each demonstration's file another one: the same bytes would be taken once only.
_BAD_ROWS = (
    "{number},L99998,L,0.0,308.5,1500,40.0,10,0,0,0,0,0,0\n{number},X99999,X,298.1,308.6,fast,,10\n"
)
_BAD_GENERATED_ROW = "-{number}.0,310.0,1500.0,40.0,10.0,true,false" + ",false" * 6 + "\n"


def _step(number: int, title: str) -> None:
    say(f"\n{number}. {title}", style="bold")


def _readings(settings: Settings, folder: Path) -> tuple[Path, str]:
    """Write the file to upload: the data at hand, in their own columns, and bad rows."""
    now = datetime.now(UTC)
    path, number = folder / f"demo-{now:%Y%m%dT%H%M%S}.csv", int(now.timestamp())
    real = real_data_file(settings, load_spec())
    if real is not None and real.exists():
        text = real.read_text(encoding="utf-8-sig")
        path.write_text(
            text.rstrip("\r\n") + "\n" + _BAD_ROWS.format(number=number), encoding="utf-8"
        )
        return path, f"{real.name} and two bad rows"
    rows = pl.concat(simulate(load_spec(), 5000, seed=2)).write_csv()
    path.write_text(rows + _BAD_GENERATED_ROW.format(number=number), encoding="utf-8")
    return path, "5000 generated rows (no real data at hand) and a bad one"


def _file(intake: Intake, path: Path) -> None:
    began = time.monotonic()
    uploaded = upload(intake, path)
    say(f"   uploaded to {intake.prefixes.bucket}/{uploaded.key}")
    receipt = wait_for_receipt(intake, uploaded, timeout_s=120.0)
    if receipt is None:
        raise StackError(
            "the watcher has not filed it within 120 s; see: presagio logs airflow-scheduler"
        )
    done = receipt.outcome
    faults = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in done.reasons.items())
    say(
        f"   filed after {time.monotonic() - began:.1f} s: {done.rows_in} rows in = "
        f"{done.rows_processed} processed + {done.rows_quarantined} quarantined\n"
        f"   clean rows   {done.processed_key}\n"
        f"   bad rows     {done.quarantine_key} ({faults})\n"
        f"   original     {done.archive_key}\n"
        f"   receipt      {receipt.id}, filed by {receipt.run_id}"
    )


def _train(parts: Parts) -> RegisteredVersion:
    spec = parts.spec
    dataset = choose_dataset(parts.settings, spec, intake=parts.intake)
    say(
        f"   {dataset.source}: {len(dataset.target)} rows, {int(dataset.target.sum())} failures, "
        f"receipts {', '.join(map(str, dataset.receipts))}"
    )
    with training_progress() as progress:
        model, registered = train(dataset, spec, parts.registry, progress=progress)
    print_metrics(model)
    # The same data give a model that is no better than the champion, and the gate says so.
    who, why = getpass.getuser(), "the demo shows a swap"
    print_decision(promote(parts.promoter, registered.version, who=who, why=why, force=True))
    return registered


def _wait_for_version(api: str, version: str) -> float:
    began = time.monotonic()
    while time.monotonic() - began < _SWAP_LIMIT_S:
        if str(httpx.get(f"{api}/health/ready").json().get("version")) == version:
            return time.monotonic() - began
        time.sleep(0.5)
    raise StackError(f"{api} does not serve version {version} after {_SWAP_LIMIT_S:.0f} s")


def _predict(settings: Settings, request_id: int, features: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(
        f"{settings.api_url}/predict",
        json={"request_id": request_id, "features": features},
        headers=authorization(settings, "predict"),
        timeout=10.0,
    )
    answer.raise_for_status()
    return dict(answer.json())


def _most(contributions: dict[str, float]) -> str:
    largest = sorted(contributions.items(), key=lambda named: -abs(named[1]))[:3]
    return ", ".join(f"{name} {value:+.2f}" for name, value in largest) + " of the probability"


def demo(
    home: Home = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the uploaded file in this folder.")
    ] = None,
) -> None:
    """Walk the whole loop on a running stack: upload, clean, train, promote, predict."""
    parts = Parts(home)
    if parts.spec.name != DEFAULT_SPEC:
        raise StackError(
            f"the demonstration is of the machine {DEFAULT_SPEC}, and this stack serves "
            f"{parts.spec.name}"
        )
    settings, intake = parts.settings, parts.intake
    try:
        intake.store.head(intake.prefixes.bucket, intake.prefixes.incoming)
    except StorageError as err:
        raise StackError("no stack answers; start one in another terminal: make up") from err
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path, what = _readings(settings, folder)
        _step(1, f"A CSV file lands in the bucket: {what}")
        _file(intake, path)
    _step(2, "Train Support Vector Machines on what was processed, and make the best one champion")
    registered = _train(parts)
    _step(3, "The API takes the new champion without a restart")
    seconds = _wait_for_version(settings.api_url, registered.version)
    say(f"   version {registered.version} served {seconds:.1f} s after its promotion")
    _step(4, "Predict a machine that is about to fail, and a healthy one")
    failing = dict(intake.spec.example)
    healthy = failing | {"rotational_speed_rpm": 1550.0, "torque_nm": 38.0, "tool_wear_min": 20.0}
    for request_id, (name, features) in enumerate(
        {"worn tool, high torque": failing, "healthy": healthy}.items(), start=1
    ):
        answer = _predict(settings, request_id, features)
        diagnosis = answer.get("diagnosis") or {}
        verdict = "failure expected" if answer["label"] else "no failure expected"
        say(f"   {name}: {verdict}, probability {answer['probability']:.3f}")
        if diagnosis:
            say(f"   why: {diagnosis['title']}; {_most(diagnosis['contributions'])}")
    _step(5, "Look for yourself")
    say(
        f"   API      {settings.api_url}/docs\n"
        f"   MLflow   {model_page(settings.model_name, url=settings.mlflow_url)}\n"
        f"   Airflow  {settings.airflow_url}/dags/csv_file_watcher (user admin, password in "
        f"{settings.home / CREDENTIALS_FILE})\n"
        "   Receipts presagio receipts"
    )
