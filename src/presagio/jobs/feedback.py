"""Feedback: outcomes of earlier readings go through the intake, and say how right alarms were."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from presagio.errors import DataError, NotFoundError
from presagio.ingest.checking import check_file, suffix_of
from presagio.ingest.curated_parts import CuratedParts, kept_text
from presagio.ingest.filing import Intake
from presagio.ingest.upload import Uploaded, upload
from presagio.lifecycle.outcomes import (
    FEEDBACK,
    SAID_ALARM,
    SAID_VERSION,
    outcomes_csv,
    outcomes_name,
)
from presagio.machine.columns import match_columns
from presagio.machine.inputs import Label
from presagio.machine.spec import MachineSpec
from presagio.readings.row_check import EXTRA
from presagio.readings.text_values import flag_in
from presagio.registry.loading import load_version
from presagio.registry.writer import Registry
from presagio.scoring.frames import score_frame
from presagio.settings import Settings


@dataclass(frozen=True)
class Sent:
    """Outcomes that were put below the incoming prefix.

    Attributes
    ----------
    uploaded
        Where they are.
    outcomes, failures
        How many there are, and how many of them are failures.
    """

    uploaded: Uploaded
    outcomes: int
    failures: int


@dataclass(frozen=True)
class AlarmMetrics:
    """How right a version's alarms were in service, by the outcomes that were sent back.

    Attributes
    ----------
    outcomes, failures
        How many outcomes there are of readings that it predicted, and how many are failures.
    alarms, right
        For how many of them it gave an alarm, and how many of those were failures.
    """

    version: str
    outcomes: int
    failures: int
    alarms: int
    right: int

    def __add__(self, other: "AlarmMetrics") -> "AlarmMetrics":
        """Add what came of other outcomes to it."""
        return AlarmMetrics(
            self.version, self.outcomes + other.outcomes, self.failures + other.failures,
            self.alarms + other.alarms, self.right + other.right,
        )  # fmt: skip

    @property
    def precision(self) -> float | None:
        """Share of its alarms that were right; None where there was no alarm."""
        return self.right / self.alarms if self.alarms else None

    @property
    def recall(self) -> float | None:
        """Share of the failures that it gave an alarm for; None where there was no failure."""
        return self.right / self.failures if self.failures else None


# Marks outcomes whose reading was found; begins as no name does.
_FOUND = "@found"


def _outcomes_of_receipt(path: Path, intake: Intake, receipt_id: int) -> pl.DataFrame:
    """Join outcomes, which name readings by an identifier, with the readings of an earlier file."""
    spec = intake.spec
    try:
        read = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as err:
        raise DataError(f"{path} cannot be read as CSV: {err}") from err
    names = match_columns(read.columns, spec, intake.limits.headers).names
    read = read.rename({read.columns[i]: name for i, name in names.items()})
    keys = [column.name for column in spec.kept_columns if column.name in read.columns]
    labels = [label for label in spec.labels if label.name in read.columns]
    if not keys or spec.target not in labels:
        wanted = ", ".join(column.name for column in spec.kept_columns)
        raise DataError(f"{path} needs {spec.target.name} and an identifier ({wanted})")
    outcomes = read.select(
        *(kept_text(name, spec) for name in keys),
        *(flag_in(label).alias(label.name) for label in labels),
    )
    found = intake.ledger.receipts(
        number=receipt_id, bucket=intake.prefixes.bucket, verdict="processed"
    )
    if not found or intake.is_of_events(found[0].identity.key):
        raise NotFoundError(
            f"there is no receipt {receipt_id} of a file whose rows were taken; see: "
            "presagio receipts"
        )
    columns = dict.fromkeys((*keys, *spec.needed_columns, *spec.input_names))
    keys_of_parts = found[0].outcome.curated_keys
    curated = CuratedParts(intake, [*columns])
    readings = pl.concat(curated.read(key, receipt_id) for key in keys_of_parts)
    marked = readings.with_columns(pl.lit(value=True).alias(_FOUND))
    joined = outcomes.join(marked, on=keys, how="left", maintain_order="left")
    lost = joined.filter(pl.col(_FOUND).is_null() | pl.col(spec.target.name).is_null())
    if len(lost) or len(joined) != len(outcomes):
        example = lost.row(0)[: len(keys)] if len(lost) else keys
        raise DataError(
            f"{path}: of {len(outcomes)} outcomes {len(lost)} have no reading in receipt "
            f"{receipt_id} or no true or false, and each may have one only; see {example}"
        )
    return joined.drop(_FOUND)


def _outcomes_with_readings(path: Path, intake: Intake) -> pl.DataFrame:
    spec = intake.spec
    with path.open("rb") as file:
        checked = check_file(
            file, spec, suffix=suffix_of(path.name) or ".csv", limits=intake.limits
        )
    if checked.fault is not None:
        raise checked.fault
    if len(checked.rejected):
        raise DataError(
            f"{path}: {len(checked.rejected)} rows cannot be used: {checked.tally.examples[0]}"
        )
    rows = checked.accepted
    if spec.target.name not in rows.columns or rows[spec.target.name].null_count():
        raise DataError(f"{path}: each outcome needs {spec.target.name}")
    if EXTRA in rows.columns:
        extra = pl.col(EXTRA)
        rows = rows.with_columns(
            extra.str.json_path_match(f"$.{name}").alias(name)
            for name in (SAID_ALARM, SAID_VERSION)
        )
    return rows


def _with_predicted_alarms(
    rows: pl.DataFrame, spec: MachineSpec, registry: Registry, settings: Settings
) -> pl.DataFrame:
    """Add the alarms that the champion predicts, where the file does not have those of then."""
    if SAID_ALARM in rows.columns and not rows[SAID_ALARM].null_count():
        return rows.with_columns(flag_in(Label(name=SAID_ALARM)).alias(SAID_ALARM))
    champion = registry.resolve()
    predictor = load_version(registry, champion, spec, settings)
    alarm = score_frame(predictor, rows)["label"]
    return rows.with_columns(alarm.alias(SAID_ALARM), pl.lit(champion.version).alias(SAID_VERSION))


def send_feedback(
    intake: Intake,
    registry: Registry,
    settings: Settings,
    path: Path,
    *,
    receipt: int | None = None,
) -> Sent:
    """Put outcomes below the incoming prefix, with the alarms that a model predicted.

    Parameters
    ----------
    intake
        Where to.
    registry, settings
        Where the champion is.
    path
        A file of labelled readings; with ``receipt`` one of identifiers and labels.
    receipt
        The receipt of the file that the readings came in.

    Raises
    ------
    DataError, UnreadableFileError
        If an outcome cannot be used; nothing is sent then.
    NotFoundError
        If there is no such receipt.
    RegistryError
        If there is no champion to ask what it says, or MLflow does not answer.
    StorageError
        If store or ledger fail.
    """
    spec = intake.spec
    try:
        rows = (
            _outcomes_with_readings(path, intake)
            if receipt is None
            else _outcomes_of_receipt(path, intake, receipt)
        )
    except OSError as err:
        raise DataError(f"{path} cannot be read: {err.strerror}") from err
    rows = _with_predicted_alarms(rows, spec, registry, settings)
    known = [column.name for column in spec.kept_columns]
    wanted = [*known, *spec.input_names, *spec.label_names, SAID_ALARM, SAID_VERSION]
    rows = rows.select(name for name in wanted if name in rows.columns)
    body = outcomes_csv(rows.iter_rows(named=True))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes.csv"
        file.write_bytes(body)
        uploaded = upload(intake, file, name=outcomes_name(body))
    return Sent(uploaded, len(rows), int(rows[spec.target.name].sum()))


def alarm_metrics(intake: Intake) -> list[AlarmMetrics]:
    """Count how right alarms were in service, version by version, by all outcomes sent back.

    Raises
    ------
    DataError
        If an object of the curated data set is gone.
    StorageError
        If store or ledger fail.
    """
    target, prefixes = intake.spec.target.name, intake.prefixes
    counted: dict[str, AlarmMetrics] = {}
    sent = intake.ledger.receipts_below(
        prefixes.bucket, f"{prefixes.incoming}{FEEDBACK}", "processed"
    )
    curated = CuratedParts(intake, (target, EXTRA))
    for receipt in sent:
        for key in receipt.outcome.curated_keys:
            for found in _counted(curated.read(key, receipt.id), target):
                before = counted.get(found.version)
                counted[found.version] = found if before is None else before + found
    return [counted[version] for version in sorted(counted)]


def _counted(outcomes: pl.DataFrame, target: str) -> list[AlarmMetrics]:
    """Count the outcomes of one part, version by version."""
    alarms = outcomes.select(
        pl.col(target).alias("failure"),
        (pl.col(EXTRA).str.json_path_match(f"$.{SAID_ALARM}") == "true").alias("alarm"),
        pl.col(EXTRA).str.json_path_match(f"$.{SAID_VERSION}").fill_null("unknown").alias("by"),
    )
    counted = alarms.group_by("by").agg(
        pl.len().alias("outcomes"), pl.col("failure").sum(), pl.col("alarm").sum(),
        (pl.col("failure") & pl.col("alarm")).sum().alias("right"),
    )  # fmt: skip
    return [
        AlarmMetrics(row["by"], row["outcomes"], row["failure"], row["alarm"], row["right"])
        for row in counted.iter_rows(named=True)
    ]
