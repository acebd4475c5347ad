"""Datasets as MLflow's own classes read them back."""

import json

import mlflow
import pytest

from presagio.registry.inputs import DIGEST_CHARACTERS, LoggedDataset


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("s3://data/curated/", "s3"), ("file:///data/ai4i2020.csv", "local"),
        ("https://plant.example/rows.csv", "http"), ("", "code"),
    ],
)  # fmt: skip
def test_a_source_is_one_that_mlflow_can_load(address: str, kind: str) -> None:
    logged = LoggedDataset("rows", "a" * 64, "training", address).as_input()
    assert logged.dataset.source_type == kind
    source = mlflow.data.get_source(logged.dataset)
    assert json.loads(source.to_json()) == json.loads(logged.dataset.source)
    assert not address or address in source.to_json()


def test_columns_and_numbers_are_there_as_the_pages_read_them() -> None:
    logged = LoggedDataset(
        "rows", "0123456789" * 7, "evaluation",
        columns={"torque_nm": "double", "failure": "boolean"},
        profile={"num_rows": 7},
    ).as_input()  # fmt: skip
    schema = json.loads(logged.dataset.schema or "")["mlflow_colspec"]
    assert [(each["name"], each["type"]) for each in schema] == [
        ("torque_nm", "double"), ("failure", "boolean"),
    ]  # fmt: skip
    assert json.loads(logged.dataset.profile or "") == {"num_rows": 7}
    assert len(logged.dataset.digest) == DIGEST_CHARACTERS
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "evaluation")]
