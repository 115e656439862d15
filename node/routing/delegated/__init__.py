"""Other routers asked over HTTP (Delegated Routing V1): any of them may be gone, or lie."""
