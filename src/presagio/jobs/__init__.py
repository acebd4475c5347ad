"""Use cases: file what came, train, monitor, promote; settings and what they name are handed in."""
