"""Tensors of the Open Inference Protocol (V2), as JSON or as its binary extension has them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from presagio.errors import DataError

_TYPES: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_MOST_DIMENSIONS = 2
_MOST_NUMBER = 1 << 31


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class Parameters(_Strict):
    """What of a tensor's or a request's parameters is looked at."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None
    binary_data: bool = False
    binary_data_output: bool = False


class InputTensor(_Strict):
    """A tensor that is sent; its data stand here, or behind the JSON as bytes."""

    name: Annotated[str, Field(max_length=200)]
    shape: Annotated[
        list[Annotated[int, Field(ge=0, lt=_MOST_NUMBER)]],
        Field(min_length=1, max_length=_MOST_DIMENSIONS),
    ]
    datatype: Annotated[str, Field(examples=["FP64"])]
    data: list[Any] | None = None
    parameters: Parameters = Parameters()


class WantedOutput(_Strict):
    """An output that is asked for."""

    name: Annotated[str, Field(max_length=200)]
    parameters: Parameters = Parameters()


class InferenceRequest(_Strict):
    """A request of the Open Inference Protocol."""

    id: Annotated[str | None, Field(max_length=200)] = None
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=200)]
    outputs: Annotated[list[WantedOutput], Field(max_length=20)] = []
    parameters: Parameters = Parameters()


class OutputTensor(BaseModel):
    """A tensor that is answered."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, int] | None = None


class InferenceResponse(BaseModel):
    """An answer of the Open Inference Protocol."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
    parameters: dict[str, Any] = {}


def _flat(data: Sequence[Any]) -> list[Any]:
    if data and isinstance(data[0], list):
        return [value for row in data for value in (row if isinstance(row, list) else [row])]
    return list(data)


def _values(tensor: InputTensor, raw: bytes | None) -> NDArray[Any]:
    kind = _TYPES.get(tensor.datatype)
    if kind is None:
        raise DataError(f"{tensor.name}: datatype {tensor.datatype!r} is none of {list(_TYPES)}")
    if raw is not None:
        if len(raw) % np.dtype(kind).itemsize:
            raise DataError(f"{tensor.name}: {len(raw)} bytes are no whole number of values")
        return np.frombuffer(raw, kind)
    flat = _flat(tensor.data or [])
    if {*map(type, flat)} <= {int, float}:
        with contextlib.suppress(OverflowError):
            return np.array(flat, dtype=np.float64)
    # Kept as they are: booleans, text and gaps would become numbers otherwise.
    return np.fromiter(flat, dtype=object, count=len(flat))


def decode(request: InferenceRequest, binary: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a request by name, with the shapes that they say.

    Returns
    -------
    dict of str to NDArray
        Numbers or booleans; objects where JSON has other values among them.

    Raises
    ------
    DataError
        If data are missing, or of another size than the shape says.
    """
    found: dict[str, NDArray[Any]] = {}
    at = 0
    for tensor in request.inputs:
        size = tensor.parameters.binary_data_size
        raw = None
        if size is not None:
            raw, at = binary[at : at + size], at + size
        values = _values(tensor, raw)
        if len(values) != prod(tensor.shape):
            raise DataError(f"{tensor.name}: {len(values)} values do not fill {tensor.shape}")
        if tensor.name in found:
            raise DataError(f"{tensor.name} stands there twice")
        found[tensor.name] = values.reshape(tensor.shape)
    if at != len(binary):
        raise DataError(f"{len(binary)} bytes of data were sent, the tensors have {at}")
    return found


@dataclass(frozen=True)
class Output:
    """An output by name: its values, shape ``(n,)``, and whether they go as bytes."""

    name: str
    datatype: str
    values: NDArray[Any]
    binary: bool


def encode(
    outputs: Sequence[Output],
    *,
    model: str,
    version: str,
    own_id: str | None,
    degraded: bool,
    imputed: int | None = None,
) -> tuple[bytes, int | None]:
    """Return an answer's body, and the length of the JSON in it where bytes follow.

    ``imputed`` is in how many rows something was missing, where anything may be.
    """
    tensors, behind = [], []
    for output in outputs:
        tensor = OutputTensor(
            name=output.name, shape=list(output.values.shape), datatype=output.datatype
        )
        if output.binary:
            raw = output.values.astype(_TYPES[output.datatype]).tobytes()
            tensor.parameters = {"binary_data_size": len(raw)}
            behind.append(raw)
        else:
            tensor.data = output.values.tolist()
        tensors.append(tensor)
    answer = InferenceResponse(
        model_name=model, model_version=version, id=own_id, outputs=tensors,
        parameters={"degraded": degraded} | ({} if imputed is None else {"imputed": imputed}),
    )  # fmt: skip
    text = answer.model_dump_json(exclude_none=True).encode()
    return text + b"".join(behind), len(text) if behind else None
