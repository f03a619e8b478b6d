"""Writes the generated documents: state diagrams, the OpenAPI document. A test holds them current (`make docs`)."""

import importlib
import json
import tempfile
from pathlib import Path
from typing import Any

import wsgi
from marketplace import runtime
from marketplace.app import create_app
from marketplace.lifecycle import Lifecycle
from marketplace.settings import ROOT, Settings

DOCS = ROOT / "docs"
PACKAGES = ("marketplace", "collection", "valuation", "due_diligence", "auctions", "settlement")


def lifecycles() -> list[Lifecycle[Any]]:
    """Return every lifecycle table of the product, by noun."""
    found: dict[str, Lifecycle[Any]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "domain" in parts:
                module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
                found |= {value.noun: value for value in vars(module).values() if isinstance(value, Lifecycle)}
    return [found[noun] for noun in sorted(found)]


def states() -> str:
    """Return the document of all state diagrams."""
    lines = ["# States", "", "Generated from the lifecycle tables by `make docs`; do not edit.", ""]
    for table in lifecycles():
        lines += [f"## {table.noun}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {table.initial.value}"]
        lines += [f"    {source.value} --> {target.value}: {verb}" for source, verb, target in table.rows]
        ends = sorted(state.value for state in table.states if not table.allowed(state))
        lines += [f"    {state} --> [*]" for state in ends] + ["```", ""]
    return "\n".join(lines)


def openapi() -> str:
    """Return the OpenAPI document as the running product serves it."""
    with tempfile.TemporaryDirectory() as folder:
        zero = "A" * 43 + "="
        environment = {
            "DATABASE_URL": "postgresql:///",
            "REDIS_URL": "unix:///",
            "SECRET_KEY": zero,
            "FILES_PATH": folder,
        }
        settings = Settings.from_environment(environment | {"IDENTITY_KEY": zero, "MATCHING_KEY": zero})
        app = create_app(runtime.build(settings, wsgi.MODULES))
        return json.dumps(app.extensions["openapi"], ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def documents() -> dict[Path, str]:
    """Return what every generated document should contain."""
    return {DOCS / "states.md": states(), DOCS / "openapi.json": openapi()}


if __name__ == "__main__":
    for path, content in documents().items():
        path.write_text(content)
