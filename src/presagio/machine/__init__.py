"""What a machine's readings are: spec, derived quantities, limits, simulation.

Knows no file format of readings, no service and no model.
"""
