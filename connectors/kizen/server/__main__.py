"""`python -m connectors.kizen.server`: the command `records-server`."""

from connectors.kizen.server.cli import main

main()
