"""Labelled readings: where they come from, on disk where they are many, divided into parts."""
