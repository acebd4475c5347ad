"""Settings of the intake: what is read of a file, and how much of it."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class IngestSettings(BaseSettings):
    """Limits of files, and of the process that reads them."""

    max_columns: Annotated[
        int, Field(description="Most columns of a table, and most keys of a JSON reading.", ge=16)
    ] = 4096
    max_name_length: Annotated[
        int, Field(description="Most characters of a column's name.", ge=32)
    ] = 512
    max_line_bytes: Annotated[
        int, Field(description="Longest line of NDJSON, in bytes.", ge=1024, le=1 << 26)
    ] = 1 << 20
    max_cell_bytes: Annotated[
        int, Field(description="Longest cell of a Parquet file, in bytes.", ge=256, le=1 << 24)
    ] = 1 << 16
    reader_memory_bytes: Annotated[
        int,
        Field(
            description="Address space that the process which reads files may take for one.",
            ge=1 << 26,
        ),
    ] = 1 << 30
    reader_seconds: Annotated[
        float, Field(description="Seconds that the next part of a file may take to read.", gt=0)
    ] = 30.0
    readers: Annotated[
        int, Field(description="Files that a process reads at a time.", ge=1, le=16)
    ] = 2
    intake_max_bad_share: Annotated[
        float,
        Field(description="A file with a larger share of bad rows is refused whole.", ge=0, le=1),
    ] = 0.2
    intake_sheet: Annotated[
        str | None, Field(description="Sheet of a workbook that is read; none: the first one.")
    ] = None
    intake_slots: Annotated[
        int,
        Field(
            description="Batches of files that are filed at once: tasks that Airflow runs at a "
            "time, of all workers together.",
            ge=1,
            le=1000,
        ),
    ] = 2
    intake_max_file_bytes: Annotated[
        int,
        Field(
            description="Bytes that a file may have; a larger one is not read and stays below the "
            "incoming prefix.",
            ge=1 << 20,
        ),
    ] = 16 << 30
    intake_max_bytes: Annotated[
        int, Field(description="Bytes that a compressed file may unpack to.", gt=0)
    ] = 8 << 30
    intake_max_ratio: Annotated[
        float, Field(description="Bytes that each packed byte may unpack to.", ge=1)
    ] = 200.0
    watch_poll_s: Annotated[
        float, Field(description="Seconds between looks at the incoming prefix.", gt=0)
    ] = 1.0
