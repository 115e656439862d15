"""This API as OpenAPI 3.1: routes of the router, names that routes check, the rest from tables."""
