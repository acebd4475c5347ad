"""Artifacts that are whole by their digests, and wrong inside."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from presagio.inference.predictor import fallback_folder

Change = Callable[[Path], None]
_NAMES = ("model.onnx", "spec.json", "card.json")


def make_artifact(folder: Path, change: Change | None = None) -> Path:
    """Copy the bundled artifact, change it, and make its digests right again."""
    shutil.copytree(fallback_folder(), folder)
    if change is not None:
        change(folder)
    manifest = folder / "manifest.json"
    try:
        content = json.loads(manifest.read_bytes())
        content["files"] |= {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _NAMES
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return folder
    manifest.write_text(json.dumps(content), encoding="utf-8")
    return folder


def manifest(**changes: Any) -> Change:
    return _merged("manifest.json", changes)


def _merged(name: str, changes: dict[str, Any]) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_bytes())
        (folder / name).write_text(json.dumps(content | changes), encoding="utf-8")

    return change


def _example(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_bytes())
        content["examples"][0] |= changes
        (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")

    return change


def written(name: str, content: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def spec(edit: Callable[[dict[str, Any]], Any]) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / "spec.json").read_bytes())
        edit(content)
        (folder / "spec.json").write_text(json.dumps(content), encoding="utf-8")

    return change


def graph(edit: Callable[[Any], Any]) -> Change:
    """Edit the graph of the bundled model."""

    def change(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        edit(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return change


def _without_output(name: str) -> Change:
    def edit(model: Any) -> None:
        kept = [output for output in model.graph.output if output.name != name]
        del model.graph.output[:]
        model.graph.output.extend(kept)

    return graph(edit)


def appended(name: str, *nodes: Any, shape: list[Any] | None = None, kind: int = 11) -> Change:
    """Put nodes behind an output: they take it as ``old`` and give it anew."""

    def edit(model: Any) -> None:
        for node in model.graph.node:
            for names in (node.input, node.output):
                for i, own in enumerate(names):
                    names[i] = "old" if own == name else own
        model.graph.node.extend(nodes)
        for output in model.graph.output:
            if output.name == name:
                rank = shape if shape is not None else ["n"]
                output.CopyFrom(helper.make_tensor_value_info(name, kind, rank))

    return graph(edit)


def _constant(name: str, value: Any) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value)))


def fails_where(column: int, value: float) -> Change:
    """Have the graph fail on rows whose input of that number has that value."""
    return appended(
        "score",
        _constant("column", np.int64(column)), _constant("value", value),
        _constant("zero", np.zeros(1)),
        helper.make_node("Gather", ["inputs", "column"], ["chosen"], axis=1),
        helper.make_node("Equal", ["chosen", "value"], ["matches"]),
        helper.make_node("Cast", ["matches"], ["index"], to=TensorProto.INT64),
        # There is no second value: an index of 1 is an error when it is met.
        helper.make_node("Gather", ["zero", "index"], ["added"]),
        helper.make_node("Add", ["old", "added"], ["score"]),
    )  # fmt: skip


def _input(kind: int, shape: list[Any]) -> Change:
    """A graph that takes something else, and casts it."""

    def edit(model: Any) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("inputs", kind, shape))
        cast = helper.make_node("Cast", ["inputs"], ["inputs_double"], to=TensorProto.DOUBLE)
        for node in model.graph.node:
            for i, own in enumerate(node.input):
                node.input[i] = "inputs_double" if own == "inputs" else own
        model.graph.node.insert(0, cast)

    return graph(edit)


def _allocates(gigabytes: int) -> Change:
    """Add nothing to the score, by way of a tensor of this size."""
    return appended(
        "score",
        _constant("size", [gigabytes << 27]),
        helper.make_node("ConstantOfShape", ["size"], ["huge"],
                         value=numpy_helper.from_array(np.array([0.0]))),
        # Depends on the input, so that it is not computed while the graph is loaded.
        helper.make_node("ReduceMin", ["old"], ["least"], keepdims=0),
        helper.make_node("Mul", ["huge", "least"], ["scaled"]),
        _constant("nothing", 0.0),
        helper.make_node("ReduceMax", ["scaled"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "nothing"], ["zero"]),
        helper.make_node("Add", ["old", "zero"], ["score"]),
    )  # fmt: skip


def _allocates_while_loading(gigabytes: int) -> Change:
    return appended(
        "score",
        _constant("size", [gigabytes << 27]),
        helper.make_node("ConstantOfShape", ["size"], ["huge"],
                         value=numpy_helper.from_array(np.array([0.0]))),
        helper.make_node("ReduceMax", ["huge"], ["zero"], keepdims=0),
        helper.make_node("Add", ["old", "zero"], ["score"]),
    )  # fmt: skip


def never_ends() -> Change:
    """A loop of 2 to the power of 62 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]),
         helper.make_node("Add", ["value", "value"], ["next"])],
        "body",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []),
         helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("value", TensorProto.DOUBLE, None)],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.DOUBLE, None)],
    )  # fmt: skip
    return appended(
        "score", _constant("rounds", 1 << 62), _constant("true", True),  # noqa: FBT003
        helper.make_node("Loop", ["rounds", "true", "old"], ["score"], body=body),
    )  # fmt: skip


def _mixes_rows() -> Change:
    return appended(
        "score",
        helper.make_node("ReduceMean", ["old"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["old", "mean"], ["less"]),
        helper.make_node("Add", ["less", "mean"], ["same"]),
        _constant("half", 0.5),
        helper.make_node("Mul", ["mean", "half"], ["share"]),
        helper.make_node("Sub", ["same", "share"], ["score"]),
    )


def _outside(where: str, *, constant: bool) -> Change:
    """Take a number of the score from a file outside of the artifact."""
    tensor = TensorProto(
        name="outer", data_type=TensorProto.UINT8, data_location=TensorProto.EXTERNAL, dims=[1]
    )
    for key, value in (("location", where), ("offset", "0"), ("length", "1")):
        tensor.external_data.add(key=key, value=value)
    nodes = [
        helper.make_node("Cast", ["outer"], ["double"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["double", "none"], ["zero"]),
        helper.make_node("Add", ["old", "zero"], ["score"]),
    ]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["outer"], value=tensor))
    put = appended("score", _constant("none", 0.0), *nodes)

    def change(folder: Path) -> None:
        (folder.parent / "secret").write_bytes(b"secret")
        put(folder)
        if not constant:
            model = onnx.load(folder / "model.onnx", load_external_data=False)
            model.graph.initializer.append(tensor)
            (folder / "model.onnx").write_bytes(model.SerializeToString())

    return change


def _many_bounds(content: dict[str, Any]) -> None:
    bound = {"of": "torque_nm", "above": 1.0, "below": None, "by": None}
    content["rules"][0]["bounds"] = [bound | {"above": float(i)} for i in range(3000)]


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(content: Any) -> None:
        *parents, last = path.split(".")
        for part in parents:
            content = content[int(part) if part.isdigit() else part]
        content[int(last) if last.isdigit() else last] = value

    return edit


BROKEN: dict[str, Change] = {
    "no output score": _without_output("score"),
    "no output probability": _without_output("probability"),
    "no output modes": _without_output("modes"),
    "a score of rank 2": appended(
        "score", _constant("last", [-1, 1]),
        helper.make_node("Reshape", ["old", "last"], ["score"]), shape=["n", 1]),
    "a score of single precision": appended(
        "score", helper.make_node("Cast", ["old"], ["score"], to=TensorProto.FLOAT),
        kind=TensorProto.FLOAT),
    "a probability of text": appended(
        "probability", helper.make_node("Cast", ["old"], ["probability"], to=TensorProto.STRING),
        kind=TensorProto.STRING),
    "a probability above 1": appended(
        "probability", _constant("two", 2.0), helper.make_node("Add", ["old", "two"],
        ["probability"])),
    "a score that is not a number": appended(
        "score", _constant("zero", 0.0), helper.make_node("Sub", ["old", "old"], ["nil"]),
        helper.make_node("Div", ["nil", "zero"], ["score"])),
    "one score for all rows": appended(
        "score", helper.make_node("ReduceMax", ["old"], ["score"], keepdims=1)),
    "scores that depend on other rows": _mixes_rows(),
    "inputs of single precision": _input(TensorProto.FLOAT, ["n", 7]),
    "inputs of rank 1": _input(TensorProto.DOUBLE, ["n"]),
    "inputs of one row": _input(TensorProto.DOUBLE, [1, 7]),
    "six inputs": _input(TensorProto.DOUBLE, ["n", 6]),
    "modes that are not there": manifest(modes=["twf", "hdf", "pwf", "osf", "rnf"]),
    "modes of another number": manifest(modes=["twf"]),
    "modes that the spec has not": manifest(modes=["a", "b", "c", "d"]),
    "a mode twice": manifest(modes=["twf", "twf", "pwf", "osf"]),
    "a ragged background": manifest(background=[[1.0] * 7, [1.0] * 6]),
    "a background of another width": manifest(background=[[1.0] * 8] * 50),
    "a background that is infinite": manifest(background=[[float("inf")] * 7]),
    "a background of 100,000 rows": manifest(background=[[1.0] * 7] * 100_000),
    "a threshold that is not a number": manifest(threshold=float("nan")),
    "a threshold that is infinite": manifest(threshold=float("inf")),
    "an example of another width": _example(inputs=[1.0] * 6),
    "an example without a number": _example(score=float("nan")),
    "an example with another score": _example(score=3.5),
    "no examples": manifest(examples=[]),
    "a manifest that is a list": written("manifest.json", b"[]"),
    "a manifest of lists in lists": written("manifest.json", b"[" * 100_000),
    "a manifest in UTF-16": written("manifest.json", '{"format": 1}'.encode("utf-16")),
    "a manifest of 5 megabytes": written("manifest.json", b" " * (5 << 20)),
    "a card that is a list": written("card.json", b"[1]"),
    "a card that is null": written("card.json", b"null"),
    "a card whose model is text": written("card.json", b'{"model": "svm"}'),
    "a card whose detectors are numbers": written("card.json", b'{"model": {"detectors": [1]}}'),
    "a card with a number beyond all": written("card.json", b'{"a": 1' + b"0" * 5000 + b"}"),
    "a card of lists in lists": written("card.json", b'{"a":' + b"[" * 150 + b"]" * 150 + b"}"),
    "a card with half a surrogate": written("card.json", rb'{"a": "\ud800"}'),
    "a card of a million values": written("card.json", b'{"a":[' + b"0," * 900_000 + b"0]}"),
    "a spec with an infinite range": spec(_set("features.0.range", [0, float("inf")])),
    "a spec with quantities of each other": spec(
        _set("quantities.0.of", ["temperature_difference", "temperature_difference"])),
    "a spec with other names": spec(_set("features.0.name", "humidity")),
    "a spec of 3,000 bounds": spec(_many_bounds),
    "a constant from a file beside the folder": _outside("../secret", constant=False),
    "a constant from a file of the system": _outside("/etc/hostname", constant=False),
    "a constant node from a file": _outside("../secret", constant=True),
    "half a graph": lambda folder: written(
        "model.onnx", (folder / "model.onnx").read_bytes()[:1000])(folder),
    "no graph": written("model.onnx", b""),
    "an operator that does not exist": appended(
        "score", helper.make_node("Unheard", ["old"], ["score"], domain="of.it")),
}  # fmt: skip
# What shows when it is run, and then in the process that runs it.
LARGE: dict[str, Change] = {
    "a terabyte": _allocates(1024),
    "a terabyte while it is loaded": _allocates_while_loading(1024),
    "eight gigabytes": _allocates(8),
}
