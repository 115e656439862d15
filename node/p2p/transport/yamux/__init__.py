"""yamux (/yamux/1.0.0): many streams over one connection; its frames, a stream, a session of them."""
