"""Benchmarks: each measures in one sitting and writes its part of ``docs/benchmarks.md``."""
