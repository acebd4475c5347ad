"""Use cases: file what came, train, watch for drift, take feedback; what DAGs, CLI and API call."""
