"""The reference page of the configuration, made from the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import yaml

from spanmill.config.model import Config
from spanmill.config.schema import VALUE_TITLES, Schema, model_schema

_NAME: Final = "NAME"
_NO_UPPER_LIMIT: Final = 2**31 - 1
_SIMPLE_TYPES: Final = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "string": "text",
}

_HEAD: Final = """\
# Configuration

<!-- Made by `spanmill config reference`; edit processors/spanmill/config/ instead. -->

`spanmill run --config FILE` reads one YAML file. Every key has a default, so no file is needed,
and a file holds only what differs. `spanmill check FILE` says whether a file can be used, and
`spanmill config schema` prints its JSON Schema for editors.

A file is refused as a whole, with one line for each problem: `FILE:LINE: KEY: what is wrong`.
Unknown keys, keys given twice, wrong types and impossible values are problems.

## Values

| type | written |
|---|---|
| duration | numbers with units, the largest first: `15m`, `500ms`, `1h30m`. Units are d, h, m, s, \
ms, us and ns; a number without one is refused. |
| size | a number with B, kB, MB, GB (powers of 1000), KiB, MiB or GiB (powers of 1024): `64MiB`. \
A number without one is bytes. |
| host:port | `127.0.0.1:4317`, `localhost:4317`, `[::1]:4317`; port 0 takes any free port. |
| path | a file or folder; a relative one begins at the working directory. |

Unquoted values have the types of YAML 1.2: `true` and `false` are the only truth values. A
section with nothing under it has its defaults; one that can be `null` must say so, or be `{}`, and
no other section can be `null`.

### From the environment

`${env:NAME}` in a value is replaced by the variable NAME, and `${env:NAME:-default}` by the
default where NAME is unset or empty. A variable that is not set and has no default is a problem.
`$$` is a literal `$`. A value that is one variable and nothing else has the type that its key
wants: `max_series: ${env:MAX_SERIES:-20000}` is a number. What is put in is never read as YAML
structure. Inside `{ }` and `[ ]` YAML needs quotes around it: `{endpoint: "${env:ENDPOINT}"}`.

Anchors, aliases and merge keys (`<<`) work. Values of headers are never shown, neither in
errors nor in the log.
"""

_EXAMPLE: Final = """\
## An example

```yaml
receivers:
  otlp:
    grpc: {endpoint: 0.0.0.0:5317}
    http: null                      # off
exporters:
  otlp_traces:
    tempo:
      endpoint: http://tempo:4318
    vendor:
      endpoint: https://otlp.example.com
      headers: {authorization: "Bearer ${env:VENDOR_TOKEN}"}
      compression: gzip
    jaeger:
      endpoint: jaeger:4317
      protocol: grpc
span_metrics:
  dimensions: [http.route, deployment.environment.name]
```
"""


@dataclass(frozen=True, slots=True)
class _Section:
    path: str
    schema: Schema


def reference_page() -> str:
    """The page in Markdown: how values are written, each section's keys, the default file."""
    root = model_schema()
    parts = [_HEAD, "## Keys\n"]
    parts += [_table(section, root) for section in _sections("", root, root)]
    parts += ["## The default file\n", f"```yaml\n{default_file()}```\n", _EXAMPLE]
    return "\n".join(parts)


def default_file() -> str:
    """A file in which every key is set to its default."""
    defaults = Config().model_dump(mode="json")
    return yaml.dump(defaults, Dumper=_FileDumper, sort_keys=False, width=100)


def _sections(path: str, schema: Schema, root: Schema) -> Iterator[_Section]:
    """Every section in the order of the file.

    Those with named parts have NAME in their path, those in a list [].
    """
    yield _Section(path, schema)
    for key, value in schema["properties"].items():
        inside = f"{path}.{key}" if path else key
        named = value.get("additionalProperties")
        if isinstance(named, dict) and "$ref" in named:
            yield from _sections(f"{inside}.{_NAME}", _resolve(named, root), root)
        elif "$ref" in value.get("items", ()):
            yield from _sections(f"{inside}[]", _resolve(value["items"], root), root)
        elif "properties" in (inner := _resolve(value, root)):
            yield from _sections(inside, inner, root)


def _table(section: _Section, root: Schema) -> str:
    rows = [
        _row(section, key, value, root)
        for key, value in section.schema["properties"].items()
        if not _is_plain_section(value, root)
    ]
    if not rows:
        return f"### `{section.path}`\n\n{section.schema['description']}\n"
    title = f"### `{section.path}`" if section.path else "### At the top"
    head = "| key | type | default | meaning |\n|---|---|---|---|"
    return "\n".join([title, "", section.schema["description"], "", head, *rows, ""])


def _row(section: _Section, key: str, value: Schema, root: Schema) -> str:
    if key in section.schema.get("required", ()):
        default = "required"
    elif "default" in value:
        default = f"`{_flow(value['default'])}`"
    else:
        default = "its defaults" if "anyOf" in value else "by protocol"
    return f"| `{key}` | {_type(value, root)} | {default} | {value['description']} |"


def _is_plain_section(value: Schema, root: Schema) -> bool:
    """Whether a key holds a section and nothing else: then that section has its own table."""
    return "anyOf" not in value and "properties" in _resolve(value, root)


def _type(value: Schema, root: Schema) -> str:
    """A type in the words of the page's first table."""
    if "anyOf" in value:
        return f"{_type(_resolve(value, root), root)} or `null`"
    if value.get("title") in VALUE_TITLES:
        return str(value["title"])
    if "enum" in value:
        return " or ".join(f"`{choice}`" for choice in value["enum"])
    if value["type"] == "array":
        items = _resolve(value["items"], root)
        return "list of sections" if "properties" in items else f"list of {_type(items, root)}"
    if value["type"] == "object":
        return "section" if "properties" in value else f"{_NAME}: {_named_type(value, root)}"
    return _SIMPLE_TYPES[value["type"]] + _limits(value)


def _named_type(value: Schema, root: Schema) -> str:
    if value["additionalProperties"] is True:
        return "any value"
    return _type(_resolve(value["additionalProperties"], root), root)


def _limits(value: Schema) -> str:
    if "minimum" not in value:
        return ""
    if value.get("maximum", _NO_UPPER_LIMIT) == _NO_UPPER_LIMIT:
        return f", {value['minimum']} or more"
    return f", {value['minimum']} to {value['maximum']}"


def _resolve(value: Schema, root: Schema) -> Schema:
    """Follow a reference, and of what may be null the other part."""
    if "anyOf" in value:
        value = next(part for part in value["anyOf"] if part.get("type") != "null")
    if "$ref" not in value:
        return value
    definition: Schema = root["$defs"][value["$ref"].rpartition("/")[2]]
    return definition


def _flow(value: object) -> str:
    """A default on one line, as YAML has it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(str, value))}]"
    return str(value)


def _in_brackets(dumper: yaml.SafeDumper, items: list[object]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


class _FileDumper(yaml.SafeDumper):
    """Writes mappings line by line and lists on one line, as people do."""

    yaml_representers: ClassVar[dict[type, Any]] = {
        **yaml.SafeDumper.yaml_representers,
        list: _in_brackets,
    }
