"""What replicas of the API share through PostgreSQL; no prediction waits for it."""
