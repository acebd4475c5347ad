"""Who made which model version champion, when, why and on what evidence; never altered."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from presagio.sentences import Sentence, read_sentence
from presagio.storage.database import translated
from presagio.storage.schema import PROMOTIONS

Kind = Literal["promotion", "rollback", "refusal"]
# Among what the gate found: its reasons as sentences.
REASONS = "reasons"
_BETWEEN = "; "


@dataclass(frozen=True)
class Decision:
    """What was decided about a model version.

    Attributes
    ----------
    model, version
        Which one.
    kind
        Whether it became champion by promotion or rollback, or was refused.
    why
        In words: what somebody said, or what the gate did.
    previous
        The champion before; None where there was none.
    forced
        Whether somebody overruled the gate.
    figures
        What the gate found of both sides.
    data_sha256
        Digest of the data that the version was trained on.
    newest_receipt
        The highest id among the receipts of these data; None where they came through none.
    """

    model: str
    version: str
    kind: Kind
    who: str
    why: str
    previous: str | None = None
    forced: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str | None = None
    newest_receipt: int | None = None

    @property
    def reasons(self) -> tuple[Sentence, ...]:
        """What the gate did, to be translated; empty where no gate decided, or an older one."""
        kept = self.figures.get(REASONS)
        found = map(read_sentence, kept if isinstance(kept, list) else ())
        return tuple(sentence for sentence in found if sentence is not None)

    @property
    def given(self) -> str:
        """What somebody said: ``why`` without the gate's reasons, as far as these are known."""
        by_gate = joined("", self.reasons)
        if not by_gate or not self.why.endswith(by_gate):
            return self.why
        return self.why.removesuffix(by_gate).removesuffix(_BETWEEN)


def joined(why: str, reasons: Sequence[Sentence]) -> str:
    """Return what somebody said and what the gate did, in English."""
    return _BETWEEN.join([*([why] if why else []), *map(str, reasons)])


@dataclass(frozen=True)
class RecordedDecision:
    """A decision as it stands in the ledger."""

    id: int
    decision: Decision
    created_at: datetime


def _recorded(row: sa.Row[Any]) -> RecordedDecision:
    fields = row._asdict()
    decision = Decision(**{name: fields[name] for name in Decision.__dataclass_fields__})
    return RecordedDecision(fields["id"], decision, fields["created_at"])


class Promotions:
    """The ledger of promotions in PostgreSQL; failures are :class:`StorageError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the connections that are kept."""
        self._engine.dispose()

    @contextmanager
    def deciding(self, model: str) -> Iterator["DecisionMaker"]:
        """Open the transaction in which it is decided about a model.

        Of several at once, all but one wait here. What is recorded in the block is committed when
        it ends without an error.
        """
        with translated(), self._engine.begin() as connection:
            lock = sa.func.hashtextextended(f"promotions/{model}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            yield DecisionMaker(connection)

    def history(self, model: str, *, limit: int | None = 50) -> list[RecordedDecision]:
        """Return decisions about a model, the newest first."""
        found = sa.select(PROMOTIONS).where(PROMOTIONS.c.model == model)
        found = found.order_by(PROMOTIONS.c.id.desc()).limit(limit)
        with translated(), self._engine.connect() as connection:
            return [_recorded(row) for row in connection.execute(found)]

    def newest_receipt(self, model: str) -> int:
        """Return up to which receipt some evaluated version of a model has learned; 0 for none."""
        newest = sa.select(sa.func.max(PROMOTIONS.c.newest_receipt))
        with translated(), self._engine.connect() as connection:
            found = connection.execute(newest.where(PROMOTIONS.c.model == model)).scalar_one()
        return int(found or 0)


class DecisionMaker:
    """Whoever may decide about a model now."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def record(self, decision: Decision) -> RecordedDecision:
        """Add a decision."""
        new = sa.insert(PROMOTIONS).values(vars(decision)).returning(*PROMOTIONS.c)
        return _recorded(self._connection.execute(new).one())

    def predecessor(self, model: str, version: str) -> str | None:
        """Return which version was champion before one became it last."""
        found = (
            sa.select(PROMOTIONS.c.previous)
            .where(
                PROMOTIONS.c.model == model,
                PROMOTIONS.c.version == version,
                PROMOTIONS.c.kind != "refusal",
            )
            .order_by(PROMOTIONS.c.id.desc())
            .limit(1)
        )
        return self._connection.execute(found).scalar_one_or_none()
