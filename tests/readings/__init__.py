"""CSV text that several tests need."""

COLUMNS = (
    "Type",
    "Air temperature [K]",
    "Process temperature [K]",
    "Rotational speed [rpm]",
    "Torque [Nm]",
    "Tool wear [min]",
)
HEADER = ",".join(COLUMNS).encode()
