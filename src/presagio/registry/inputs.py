"""What a run was fed with, as MLflow lists it among the run's datasets.

Of the rows themselves nothing is read: MLflow gets their digest, number, columns and origin.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlflow.entities import Dataset, DatasetInput, InputTag

# What MLflow's server takes; the whole digest is in the profile and among the tags of the run.
DIGEST_CHARACTERS = 36
_CONTEXT = "mlflow.data.context"
Context = Literal["training", "evaluation"]


@dataclass(frozen=True)
class LoggedDataset:
    """Rows that a run learned from, or was evaluated on.

    Attributes
    ----------
    name
        What they are called; with the digest it tells datasets of an experiment apart.
    sha256
        Digest of the data.
    context
        What they were used for.
    address
        Where they lie, such as ``s3://data/curated/`` or ``file:///…``; empty where nothing lies
        anywhere, as of generated rows.
    columns
        Name → MLflow's type, such as ``double``, in order.
    profile
        Numbers about them; ``num_rows`` is the one that MLflow's pages show.
    """

    name: str
    sha256: str
    context: Context
    address: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest as MLflow keeps it."""
        return self.sha256[:DIGEST_CHARACTERS]

    @property
    def _source(self) -> tuple[str, str]:
        """Kind of the source and the source, as MLflow's own classes write them."""
        scheme = self.address.partition(":")[0]
        if scheme in ("http", "https"):
            return "http", json.dumps({"url": self.address})
        if scheme:
            kind = {"file": "local"}.get(scheme, scheme)
            return kind, json.dumps({"uri": self.address})
        return "code", json.dumps({"tags": {"mlflow.source.name": "presagio"}})

    def as_input(self) -> DatasetInput:
        """Return it as MLflow's client takes it."""
        kind, source = self._source
        columns = [
            {"type": type_, "name": name, "required": True} for name, type_ in self.columns.items()
        ]
        described = Dataset(
            self.name, self.digest, kind, source,
            schema=json.dumps({"mlflow_colspec": columns}), profile=json.dumps(dict(self.profile)),
        )  # fmt: skip
        return DatasetInput(described, [InputTag(_CONTEXT, self.context)])
