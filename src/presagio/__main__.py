"""``python -m presagio``: the command line."""

from presagio.cli.main import main

main()
