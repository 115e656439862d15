"""Codecs (dag-pb, dag-cbor, dag-jose, git-raw, raw) and walks over the DAGs that they make."""
