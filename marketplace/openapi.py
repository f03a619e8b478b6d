"""The OpenAPI 3.1 document: generated from the routes, finished here with security and problem documents."""

from collections.abc import Callable
from typing import Any

from apispec.ext.marshmallow import common

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable name of the fact, for programs."},
        "detail": {"type": "string", "description": "One sentence for people: what is wrong and what to do."},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["type", "title", "status", "code", "detail"],
}


def names() -> Callable[[Any], str]:
    """Return a namer of components: after the class, with the package in front when another class has that name."""
    taken: dict[str, type] = {}

    def name(schema: Any) -> str:
        kind: Any = common.resolve_schema_cls(schema)
        plain = str(kind.__name__)
        if taken.setdefault(plain, kind) is kind:
            return plain
        package = kind.__module__.rsplit(".", 2)[-2]
        return "".join(part.capitalize() for part in package.split("_")) + plain

    return name


def document(api: Any) -> dict[str, Any]:
    """Return the finished document of a flask-smorest `Api`."""
    spec: dict[str, Any] = api.spec.to_dict()
    components = spec.setdefault("components", {})
    components.setdefault("schemas", {}).pop("Error", None)
    components["schemas"].pop("PaginationMetadata", None)
    components["schemas"]["Problem"] = _PROBLEM
    components["responses"] = {
        "Problem": {
            "description": "A problem document (RFC 9457)",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A session token or an API key."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
    }
    for path in spec["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                responses = operation.setdefault("responses", {})
                for status in ("422", "default"):
                    responses.pop(status, None)
                responses["default"] = {"$ref": "#/components/responses/Problem"}
    return spec
