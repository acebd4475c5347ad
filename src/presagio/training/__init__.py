"""Dataset, pipeline, search, evaluation, export: from readings to a registered model."""
