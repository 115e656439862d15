"""The representations of content, a file each, and which of them a request asks for."""
