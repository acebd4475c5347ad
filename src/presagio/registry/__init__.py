"""The model registry: read it without MLflow's own package, write it with it."""
