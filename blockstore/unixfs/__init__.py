"""Files and directories as DAGs (specs: UNIXFS)."""
