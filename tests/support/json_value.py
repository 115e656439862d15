"""JSON as a test reads it. The one place where tests say Any: a test compares what it reads with what it
expects, so that a wrong key or kind fails there; a type for every answer would be written twice.
"""

from __future__ import annotations

from typing import Any

Json = Any
JsonObject = dict[str, Any]
