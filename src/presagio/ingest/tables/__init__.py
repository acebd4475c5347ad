"""Files with cells of their own, Parquet and workbooks: read by a reader process."""
