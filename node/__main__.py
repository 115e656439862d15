"""`python -m node`: the same command as the installed `pinfold`."""

from node.cli.main import main

main()
