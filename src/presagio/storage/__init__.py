"""S3 objects, and the PostgreSQL ledger with its migrations."""
