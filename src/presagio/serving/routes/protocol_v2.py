"""The Open Inference Protocol, version 2, over REST: for clients that know nothing of Presagio."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Path, Request, Response, Security
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from presagio import __version__
from presagio.errors import DataError
from presagio.machine.spec import MachineSpec
from presagio.readings.arrays import CellFault, RowFault, check_arrays
from presagio.serving.auth.authorization import admitted
from presagio.serving.bookkeeping import Bookkeeping
from presagio.serving.champion.holder import Champion, Served
from presagio.serving.http import bodies
from presagio.serving.http.answers import FieldFault
from presagio.serving.http.openapi import schema_reference
from presagio.serving.http.problems import (
    RefusedError,
    invalid,
    invalid_request,
    problems,
    shown,
    value_fault,
)
from presagio.serving.routes.tensors import (
    InferenceRequest,
    InferenceResponse,
    Output,
    decode,
    encode,
)
from presagio.settings import Settings

_ALL = "inputs"
_OUTPUTS = {"label": "BOOL", "probability": "FP64", "score": "FP64"}
_JSON_LENGTH = b"inference-header-content-length"


class ServerMetadata(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """What a tensor is like; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Live(BaseModel):
    """Whether the server lives."""

    live: bool


class Ready(BaseModel):
    """Whether the server, or the model that is named, answers."""

    ready: bool
    name: str | None = None


def _refused(status: HTTPStatus, kind: str, title: str, detail: str) -> RefusedError:
    # V2 clients look for the member ``error``.
    return RefusedError(status, kind, title, detail, members={"error": detail})


def _bad(detail: str) -> RefusedError:
    return _refused(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "The request cannot be answered", detail
    )


def _fault(found: CellFault | RowFault) -> FieldFault:
    row = f"inputs[{found.row}]"
    if isinstance(found, RowFault):
        return FieldFault(field=row, reason=found.reason, got=found.got, allowed=found.allowed)
    got = "nothing" if found.value is None else shown(found.value)
    return value_fault(found.rule, f"{row}.{found.rule.name}", found.reason, got)


def no_such_model(name: str, known: Sequence[str]) -> RefusedError:
    """Return the refusal of a model that is not served."""
    return _refused(
        HTTPStatus.NOT_FOUND, "no-such-model", "There is no such model",
        f"model {name[:80]!r} is not served here; there are: {', '.join(known)}",
    )  # fmt: skip


class Inference:
    """Predicts rows that come as tensors."""

    def __init__(
        self, spec: MachineSpec, settings: Settings, champion: Champion, books: Bookkeeping
    ) -> None:
        self._spec, self._settings, self._champion, self._books = spec, settings, champion, books

    def served(self, version: str | None) -> Served:
        """Return the model that answers, if it is the version that is asked for.

        Raises
        ------
        RefusedError
            404, if it is not.
        """
        served = self._champion.served
        if version is not None and version != served.version:
            raise _refused(
                HTTPStatus.NOT_FOUND, "no-such-version", "This version is not served",
                f"version {version[:80]!r} is not served; {served.version!r} is",
            )  # fmt: skip
        return served

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self._settings.model_name

    def answers_to(self, name: str) -> bool:
        """Tell whether it answers for a model: the registered one, or the bundled one."""
        served = self._champion.current
        return name == self.name or (served is not None and name == served.model)

    def metadata(self, name: str, served: Served) -> ModelMetadata:
        """Return what the model takes and gives."""
        width = len(self._spec.input_names)
        return ModelMetadata(
            name=name,
            versions=[served.version],
            platform="onnx_onnxv1",
            inputs=[TensorMetadata(name=_ALL, datatype="FP64", shape=[-1, width])],
            outputs=[
                TensorMetadata(name=output, datatype=kind, shape=[-1])
                for output, kind in _OUTPUTS.items()
            ],
        )

    async def _read(self, request: Request) -> tuple[InferenceRequest, bytes]:
        raw = await bodies.read_bytes(
            request.scope, request.receive, self._settings.api_max_body_bytes
        )
        given = bodies.header(request.scope, _JSON_LENGTH)
        length = len(raw)
        if given is not None:
            if not given.isdecimal() or int(given[:10]) > length:
                raise _bad("Inference-Header-Content-Length is not the length of the JSON")
            length = int(given[:10])
        try:
            return InferenceRequest.model_validate_json(raw[:length]), raw[length:]
        except ValidationError as err:
            refused = invalid_request(err, self._spec)
            refused.members = {"error": refused.detail}
            raise refused from err

    def _rows(self, tensors: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        names = self._spec.input_names
        if set(tensors) == {_ALL}:
            rows = tensors[_ALL]
            if rows.ndim != 2 or rows.shape[1] != len(names):  # noqa: PLR2004 - rows and columns
                raise _bad(f"{_ALL} has shape {list(rows.shape)}, not [n, {len(names)}]")
            columns = list(rows.T)
        elif set(tensors) == set(names):
            columns = [tensors[name].reshape(-1) for name in names]
            if len({len(column) for column in columns}) > 1:
                raise _bad("the tensors have different numbers of rows")
        else:
            raise _bad(f"send one tensor {_ALL!r}, or one each of {list(names)}")
        if not 0 < len(columns[0]) <= self._settings.api_max_rows:
            raise _bad(f"1 to {self._settings.api_max_rows} rows are taken, not {len(columns[0])}")
        inputs, faults = check_arrays(columns, self._spec)
        if faults:
            refused = invalid([_fault(fault) for fault in faults])
            refused.members = {"error": refused.detail}
            raise refused
        return inputs

    def _wanted(self, request: InferenceRequest) -> dict[str, bool]:
        if not request.outputs:
            return dict.fromkeys(_OUTPUTS, request.parameters.binary_data_output)
        wanted = {output.name: output.parameters.binary_data for output in request.outputs}
        if unknown := set(wanted) - set(_OUTPUTS):
            raise _bad(f"there is no output {min(unknown)[:80]!r}; there are {[*_OUTPUTS]}")
        return wanted

    async def infer(self, request: Request, name: str, served: Served) -> Response:
        """Answer a request for predictions."""
        read, binary = await self._read(request)
        try:
            rows = self._rows(decode(read, binary))
        except DataError as err:
            raise _bad(str(err)) from err
        wanted, scores = self._wanted(read), self._books.score(served, rows)
        outputs = [
            Output(output, _OUTPUTS[output], getattr(scores, output), binary_wanted)
            for output, binary_wanted in wanted.items()
        ]
        gaps = int(np.isnan(rows).any(axis=1).sum()) if self._spec.optional_names else None
        body, length = encode(
            outputs, model=name, version=served.version, own_id=read.id, degraded=served.degraded,
            imputed=gaps,
        )  # fmt: skip
        if length is None:
            return Response(body, media_type="application/json")
        headers = {_JSON_LENGTH.decode(): str(length)}
        return Response(body, headers=headers, media_type="application/octet-stream")


def v2_router(
    inferences: Callable[[], Sequence[Inference]], check_ready: Callable[[], object]
) -> APIRouter:
    """Make the protocol's routes.

    Parameters
    ----------
    inferences
        Returns who predicts for which registered model, one a fleet.
    check_ready
        Refuses while it is not known what is served.
    """
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    anybody = [Security(admitted)]
    missing = problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)

    @router.get("")
    async def server() -> ServerMetadata:
        """Say what the server is."""
        return ServerMetadata(
            name="presagio", version=__version__, extensions=["binary_tensor_data"]
        )

    @router.get("/health/live")
    async def live() -> Live:
        """Say that the server lives."""
        return Live(live=True)

    @router.get("/health/ready", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE))
    async def ready() -> Ready:
        """Say that the server answers predictions."""
        check_ready()
        return Ready(ready=True)

    for path in ("/models/{name}", "/models/{name}/versions/{version}"):
        _model_routes(router, path, inferences, anybody, missing)
    return router


def _model_routes(
    router: APIRouter,
    path: str,
    inferences: Callable[[], Sequence[Inference]],
    anybody: list[Any],
    missing: Any,
) -> None:
    about, names = "Name of the registered model.", [one.name for one in inferences()]
    Name = Annotated[str, Path(max_length=200, description=about, examples=names[:1])]  # noqa: N806
    version: dict[str, Any] = {
        "name": "version", "in": "path", "required": True,
        "schema": {"type": "string", "maxLength": 200},
        "description": "The version that is served.",
    }  # fmt: skip
    parameters = {"parameters": [version]} if path.endswith("{version}") else {}

    async def asked_for(request: Request, name: Name) -> tuple[Inference, Served]:
        found = inferences()
        for inference in found:
            if inference.answers_to(name):
                # The framework has no path parameter that may be missing.
                return inference, inference.served(request.path_params.get("version"))
        raise no_such_model(name, [one.name for one in found])

    Asked = Annotated[tuple[Inference, Served], Depends(asked_for)]  # noqa: N806
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": schema_reference(InferenceRequest)},
            }
        },
    }
    answers = {
        HTTPStatus.OK.value: {"model": InferenceResponse},
        **missing,
        **problems(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    }

    async def metadata(name: Name, asked: Asked) -> ModelMetadata:
        """Say what the model takes and gives."""
        inference, served = asked
        return inference.metadata(name, served)

    async def ready(name: Name) -> Ready:
        """Say that the model answers."""
        return Ready(name=name, ready=True)

    async def infer(request: Request, name: Name, asked: Asked) -> Response:
        """Predict rows that come as tensors."""
        inference, served = asked
        return await inference.infer(request, name, served)

    anybody = [*anybody, Depends(asked_for)]
    for end, endpoint in (("", metadata), ("/ready", ready)):
        router.add_api_route(
            path + end, endpoint, dependencies=anybody, responses=missing, openapi_extra=parameters
        )
    router.add_api_route(
        f"{path}/infer", infer, methods=["POST"],
        dependencies=[Security(admitted, scopes=["predict"])], responses=answers,
        openapi_extra={"requestBody": body, **parameters}, response_class=Response,
    )  # fmt: skip
