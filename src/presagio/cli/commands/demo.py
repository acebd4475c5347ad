"""The whole loop on a running stack, step by step, with real results.

First the default machine, from a file to a prediction; then a fleet of engines that age, from a
file a day to a failure on the console.
"""

import getpass
import tempfile
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import polars as pl
import typer

from presagio.cli.ageing_view import AgeingFleet
from presagio.cli.composition import Parts
from presagio.cli.decision_view import describe_decision, print_decision
from presagio.cli.demo_steps import Steps
from presagio.cli.output import AsJson, Home
from presagio.cli.receipt_view import describe_receipt
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


class PartName(StrEnum):
    """Which half of the demonstration."""

    all = "all"
    loop = "loop"
    engines = "engines"


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


def _file(intake: Intake, path: Path, steps: Steps) -> None:
    began = time.monotonic()
    uploaded = upload(intake, path)
    place = f"{intake.prefixes.bucket}/{uploaded.key}"
    steps.show("uploaded", f"uploaded to {place}", object=place)
    receipt = wait_for_receipt(intake, uploaded, timeout_s=120.0)
    if receipt is None:
        raise StackError(
            "the watcher has not filed it within 120 s; see: presagio logs airflow-scheduler"
        )
    done, seconds = receipt.outcome, time.monotonic() - began
    faults = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in done.reasons.items())
    steps.show(
        "filed",
        f"filed after {seconds:.1f} s: {done.rows_in} rows in = "
        f"{done.rows_processed} processed + {done.rows_quarantined} quarantined\n"
        f"clean rows   {done.processed_key}\n"
        f"bad rows     {done.quarantine_key} ({faults})\n"
        f"original     {done.archive_key}\n"
        f"receipt      {receipt.id}, filed by {receipt.run_id}",
        seconds=seconds, receipt=describe_receipt(receipt),
    )  # fmt: skip


def _train(parts: Parts, steps: Steps) -> RegisteredVersion:
    spec = parts.spec
    dataset = choose_dataset(parts.settings, spec, intake=parts.intake)
    rows, failures = len(dataset.target), int(dataset.target.sum())
    steps.show(
        "data",
        f"{dataset.source}: {rows} rows, {failures} failures, "
        f"receipts {', '.join(map(str, dataset.receipts))}",
        source=dataset.source, rows=rows, failures=failures, receipts=dataset.receipts,
    )  # fmt: skip
    with training_progress(as_json=steps.as_json) as progress:
        model, registered = train(dataset, spec, parts.registry, progress=progress)
    # The same data give a model that is no better than the champion, and the gate says so.
    who, why = getpass.getuser(), "the demo shows a swap"
    recorded = promote(parts.promoter, registered.version, who=who, why=why, force=True)
    if steps.as_json:
        steps.show("trained", "", card=model.card, decision=describe_decision(recorded))
    else:
        print_metrics(model)
        print_decision(recorded)
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


def _loop(parts: Parts, folder: Path, steps: Steps) -> None:
    """Walk from a file of the default machine to a prediction."""
    settings, intake = parts.settings, parts.intake
    path, what = _readings(settings, folder)
    steps.begin(f"A CSV file lands in the bucket: {what}")
    _file(intake, path, steps)
    steps.begin("Train Support Vector Machines on what was processed; the best one is champion")
    registered = _train(parts, steps)
    steps.begin("The API takes the new champion without a restart")
    seconds = _wait_for_version(settings.api_url, registered.version)
    text = f"version {registered.version} served {seconds:.1f} s after its promotion"
    steps.show("served", text, version=registered.version, seconds=seconds)
    steps.begin("Predict a machine that is about to fail, and a healthy one")
    failing = dict(intake.spec.example)
    healthy = failing | {"rotational_speed_rpm": 1550.0, "torque_nm": 38.0, "tool_wear_min": 20.0}
    for request_id, (name, features) in enumerate(
        {"worn tool, high torque": failing, "healthy": healthy}.items(), start=1
    ):
        answer = _predict(settings, request_id, features)
        diagnosis = answer.get("diagnosis") or {}
        verdict = "failure expected" if answer["label"] else "no failure expected"
        text = f"{name}: {verdict}, probability {answer['probability']:.3f}"
        if diagnosis:
            text += f"\nwhy: {diagnosis['title']}; {_most(diagnosis['contributions'])}"
        steps.show("prediction", text, features=features, answer=answer)
    steps.begin("Where all of it is")
    pages = {
        "Console": settings.console_url,
        "API": f"{settings.api_url}/docs",
        "MLflow": model_page(settings.model_name, url=settings.mlflow_url),
        "Airflow": f"{settings.airflow_url}/dags/csv_file_watcher",
    }
    steps.show(
        "addresses",
        f"Console  {pages['Console']} (user admin, password PRESAGIO_ADMIN_PASSWORD in "
        f"{settings.home / CREDENTIALS_FILE})\n"
        f"API      {pages['API']}\n"
        f"MLflow   {pages['MLflow']}\n"
        f"Airflow  {pages['Airflow']} (user admin, PRESAGIO_AIRFLOW_ADMIN_PASSWORD there)\n"
        "Receipts presagio receipts",
        **{name.lower(): page for name, page in pages.items()},
    )


def demo(
    home: Home = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the uploaded files in this folder.")
    ] = None,
    part: Annotated[
        PartName,
        typer.Option(
            metavar="PART",
            help="loop: the default machine, from a file to a prediction; engines: a fleet that "
            "ages, from a file a day to a failure on the console; all: both.",
        ),
    ] = PartName.all,
    as_json: AsJson = False,
) -> None:
    """Walk the whole loop on a running stack, and end on the console.

    Upload, clean, train, promote, predict; then engines that age in fast motion: a file a day, an
    alarm, the failure, whether the alarm helped, and the retraining. The engines are simulated, in
    a fleet of their own (demo_engines), which is added where it is not there; each run has engines
    of its own.
    """
    parts, steps = Parts(home), Steps(as_json=as_json)
    if part is not PartName.engines and parts.spec.name != DEFAULT_SPEC:
        raise StackError(
            f"the demonstration is of the machine {DEFAULT_SPEC}, and this stack serves "
            f"{parts.spec.name}; engines beside it: presagio demo --part engines"
        )
    try:
        parts.intake.store.head(parts.intake.prefixes.bucket, parts.intake.prefixes.incoming)
    except StorageError as err:
        raise StackError("no stack answers; start one in another terminal: make up") from err
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        engines = AgeingFleet(parts, folder, steps)
        if part is not PartName.loop:
            engines.prepare()
        if part is not PartName.engines:
            _loop(parts, folder, steps)
        if part is not PartName.loop:
            engines.run()
