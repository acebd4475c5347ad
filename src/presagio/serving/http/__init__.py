"""HTTP as the API speaks it: connections, bodies, limits, problems; it knows no model."""
