"""The OpenAPI document as a static HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

STYLE_FILE = Path(__file__).parent / "docs.css"

Document = Mapping[str, Any]


def docs_page(document: Document) -> str:
    """Renders an OpenAPI 3.1 document, as FastAPI writes it, as HTML."""
    title = escape(f"{document['info']['title']} API {document['info']['version']}")
    body = "\n".join(_body(document))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="stylesheet" href="/docs.css">\n</head>\n<body>\n'
        "<main>\n"
        f"<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _body(document: Document) -> Iterator[str]:
    yield f"<p>{_text(document['info'].get('description', ''))}</p>"
    yield '<p><a href="/openapi.json">openapi.json</a> holds the same for programs.</p>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation, document)
    yield "<h2>Objects</h2>"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if not name.startswith(("Body_", "HTTPValidation", "ValidationError")):
            yield f'<section id="{escape(name)}"><h3>{escape(name)}</h3>'
            yield f"<p>{_text(schema.get('description', ''))}</p>"
            yield from _fields(_properties(schema))
            yield "</section>"


def _operation(heading: str, operation: Document, document: Document) -> Iterator[str]:
    description = _text(operation.get("description", ""))
    yield f"<section><h2><code>{escape(heading)}</code></h2><p>{description}</p>"
    fields = [(each["name"], each["schema"], each) for each in operation.get("parameters", [])]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Sent as <code>{escape(media)}</code>:</p>"
        fields += _properties(_resolved(content["schema"], document))
    yield from _fields(fields)
    yield "<dl>"
    for status, response in operation["responses"].items():
        answers = [
            _kind(each.get("schema", {})) or escape(media)
            for media, each in response.get("content", {}).items()
        ]
        yield (
            f"<dt>{escape(status)}</dt><dd>{_text(response['description'])} "
            f"{', '.join(answers)}</dd>"
        )
    yield "</dl></section>"


def _properties(schema: Document) -> list[tuple[str, Document, Document]]:
    """Name, schema, and schema with `required` of each property of an object."""
    required = schema.get("required", [])
    return [
        (name, each, {"required": name in required, **each})
        for name, each in schema.get("properties", {}).items()
    ]


def _fields(fields: list[tuple[str, Document, Document]]) -> Iterator[str]:
    if fields:
        yield "<table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>"
        for name, schema, about in fields:
            needed = "" if about.get("required") else " (optional)"
            description = about.get("description") or schema.get("description", "")
            yield f"<tr><td><code>{escape(name)}</code>{needed}</td><td>{_kind(schema)}</td>"
            yield f"<td>{_text(description)}</td></tr>"
        yield "</tbody></table>"


def _kind(schema: Document) -> str:
    """HTML of a schema's type, with its limits, and a link if it is a named object."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    limits = [f"{word} {schema[key]:g}" for key, word in _LIMITS.items() if key in schema]
    inner = f" of {_kind(schema['items'])}" if "items" in schema else ""
    return escape(schema.get("type", "")) + inner + (f", {', '.join(limits)}" if limits else "")


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
}


def _resolved(schema: Document, document: Document) -> Document:
    found: Document = document
    for part in schema["$ref"].split("/")[1:] if "$ref" in schema else ():
        found = found[part]
    return found if "$ref" in schema else schema


def _text(text: str) -> str:
    """Escapes text and puts its parts in backticks into code elements."""
    parts = escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )
