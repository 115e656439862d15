"""Where the binary begins: the same command as the installed `pinfold`."""

from node.cli.main import main

main()
