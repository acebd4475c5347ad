"""How far the tests go: what each change is tested with, or everything, which takes hours."""

import os

# Set by `make nightly`: both worlds whole, many repeats, many examples.
NIGHTLY = os.environ.get("TEST_PROFILE") == "nightly"
# How often a process is killed at each step.
KILLS = int(os.environ.get("TEST_KILLS") or (20 if NIGHTLY else 1))
# Whether the READMEs' pictures are written into the documents: `TEST_PICTURES=1`.
PICTURES = os.environ.get("TEST_PICTURES") == "1"
