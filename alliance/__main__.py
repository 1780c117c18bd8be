"""Run the command line with `python -m alliance`."""

from alliance.cli import main

main()
