"""Parts of the OpenAPI document that the framework does not write by itself."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_SCHEMAS = "#/components/schemas/{model}"
# A parameter of routes that were asked for with it once; their clients go on working.
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "deprecated": True,
    "schema": {"type": "string"},
    "description": "Accepted, and not needed: predicting changes nothing, and the same outcomes "
    "are taken once, under whatever key they come.",
}


def schema_reference(model: type[BaseModel]) -> str:
    """Return where a model's schema stands in the OpenAPI document."""
    return _SCHEMAS.format(model=model.__name__)


def schemas_of(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of models and of what they contain, by name."""
    _, document = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS
    )
    schemas: dict[str, Any] = document["$defs"]
    return schemas
