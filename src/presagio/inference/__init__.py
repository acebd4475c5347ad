"""Load a serving artifact and predict arrays; the same code for serving and bulk scoring."""
