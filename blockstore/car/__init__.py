"""CAR files, versions 1 and 2: read, written, imported (ipld.io/specs/transport/car)."""
