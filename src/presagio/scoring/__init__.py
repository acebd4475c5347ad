"""Score readings: arrays, frames or files in, predictions out; on one machine or a cluster."""
