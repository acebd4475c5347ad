"""Ways to score one Parquet file, each in a process that has imported nothing else."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort
import polars as pl

from presagio.inference.predictor import fallback_folder, open_predictor
from presagio.machine.spec import load_spec

# ruff: noqa: PLC0415 - what one way imports is no part of the memory of another
_BATCH = 16_384
# As many rows as the predictor gives the graph at a time.
_CHUNK = 1024
# Where a way is measured from: after its imports.
_began: list[float] = []


def _session() -> tuple[Any, list[str]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = str(fallback_folder() / "model.onnx")
    names = [*load_spec().input_names]
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]), names


def _graph(path: Path, out: Path) -> None:
    """Run the graph alone on rows in memory: what it gives a core."""
    del out
    session, names = _session()
    rows = pl.read_parquet(path, columns=names).cast(pl.Float64).to_numpy(order="c")
    _began.append(time.process_time())
    for start in range(0, len(rows), _CHUNK):
        session.run(["score", "probability"], {"inputs": rows[start : start + _CHUNK]})


def _presagio(path: Path, out: Path) -> None:
    from presagio.machine.headers import HeaderLimits
    from presagio.scoring.one_file import FileLimits, ReadFile, score_file

    _began.append(time.process_time())
    spec, predictor = load_spec(), open_predictor(fallback_folder())
    limits = FileLimits(HeaderLimits(4096, 512), 1 << 40)
    score_file(ReadFile(path, "parquet", spec, limits), predictor, "1", out, out.with_name("bad"))


def _polars(path: Path, out: Path) -> None:
    session, names = _session()

    def scores(rows: pl.DataFrame) -> pl.DataFrame:
        inputs = rows.select(pl.col(names).cast(pl.Float64)).to_numpy(order="c")
        score, probability = session.run(["score", "probability"], {"inputs": inputs})
        return rows.select("udi").with_columns(
            pl.Series("score", score), pl.Series("probability", probability)
        )

    schema = {"udi": pl.Int64, "score": pl.Float64, "probability": pl.Float64}
    scored = pl.scan_parquet(path).map_batches(scores, schema=schema, streamable=True)
    scored.sink_parquet(out, compression="zstd", compression_level=1)


def _pyarrow(path: Path, out: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    _began.append(time.process_time())
    session, names = _session()
    schema = pa.schema({"udi": pa.int64(), "score": pa.float64(), "probability": pa.float64()})
    with pq.ParquetWriter(out, schema, compression="zstd", compression_level=1) as writer:
        for batch in pq.ParquetFile(path).iter_batches(_BATCH):
            columns = [np.asarray(batch.column(name).cast(pa.float64())) for name in names]
            inputs = np.column_stack(columns)
            score, probability = session.run(["score", "probability"], {"inputs": inputs})
            writer.write_batch(pa.record_batch([batch.column("udi"), score, probability], schema))


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "the ONNX graph alone, rows in memory": _graph,
    "presagio: one file": _presagio,
    "Polars streaming, map_batches": _polars,
    "pyarrow and ONNX Runtime": _pyarrow,
}


def timed(way: str, path: Path, out: Path) -> None:
    """Run a way and print what it took, as one line of JSON."""
    _began.append(time.process_time())
    WAYS[way](path, out)
    seconds = time.process_time() - _began[-1]
    # Not the usage that the system counts: it begins with that of the parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    print(json.dumps({"seconds": seconds, "mib": peak}))
