"""The peer-to-peer networks: the only folder that knows trio and libp2p."""

from node.p2p.lean_imports import install

install()  # before any other module of this folder imports libp2p
