"""Files for schemathesis, which cannot make them from a document: good ones of each kind."""

import io
from functools import partial

import polars as pl
import schemathesis
from hypothesis import strategies as st

from presagio.machine.spec import load_spec

_SPEC = load_spec()


@st.composite
def _tables(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, 5))
    columns: dict[str, list[float] | list[bool]] = {
        feature.name: draw(
            st.lists(st.floats(*feature.bounds, width=32), min_size=rows, max_size=rows)
        )
        for feature in _SPEC.features
    }
    for name in _SPEC.indicator_names:
        columns[name] = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    return pl.DataFrame(columns)


def _bytes(frame: pl.DataFrame, kind: str) -> bytes:
    out = io.BytesIO()
    getattr(frame, f"write_{kind}")(out)
    return out.getvalue()


for _kind, _type in {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "ipc_stream": "application/vnd.apache.arrow.stream",
}.items():
    schemathesis.openapi.media_type(_type, _tables().map(partial(_bytes, kind=_kind)))

_FLEET = """name = "{name}"
title = "{name}"
[[features]]
name = "flow"
[target]
name = "failed"
"""
schemathesis.openapi.media_type(
    "application/toml",
    st.sampled_from(["fans", "pumps"]).map(lambda name: _FLEET.format(name=name).encode()),
)
