"""The configuration file's JSON Schema, for editors and for the reference."""

from __future__ import annotations

from typing import Any, Final

from spanmill.config.environment import REFERENCE_PATTERN
from spanmill.config.model import Config
from spanmill.config.section import Section
from spanmill.config.sections import section_in

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

VALUE_TITLES: Final = frozenset({"duration", "size", "host:port", "path"})
"""Titles that name a type of value; pydantic's others only repeat the key."""

_VARIABLE: Final = "from_environment"


def file_schema() -> Schema:
    """The schema of the file: as `model_schema`, and any value may come from a variable."""
    schema = _allow_variables(model_schema())
    definitions = {
        name: _allow_variables(definition) for name, definition in schema.pop("$defs").items()
    }
    definitions[_VARIABLE] = {
        "description": "A value from the environment; behind :- stands its default.",
        "type": "string",
        "pattern": REFERENCE_PATTERN,
    }
    return {
        "$schema": DIALECT,
        "title": "spanmill's configuration",
        **schema,
        "$defs": definitions,
    }


def model_schema() -> Schema:
    """The schema of the values themselves, with each key's default in the form of the file."""
    schema = Config.model_json_schema()
    _put_defaults(Config, schema, schema["$defs"])
    _drop_titles(schema)
    for definition in schema["$defs"].values():
        _drop_titles(definition)
    return schema


def _put_defaults(section: type[Section], schema: Schema, definitions: Schema) -> None:
    """Give each value its default; a section has none but those of its keys, or null."""
    defaults = section.model_construct().model_dump(mode="json")
    for key, field in section.model_fields.items():
        value = schema["properties"][key]
        inner = section_in(field.annotation)
        value.pop("default", None)
        if inner is not None:
            _put_defaults(inner, definitions[inner.__name__], definitions)
        depends_on_others = field.default_factory_takes_validated_data
        is_own = inner is None or not defaults.get(key, True)
        if key in defaults and is_own and not depends_on_others:
            value["default"] = defaults[key]


def _drop_titles(section: Schema) -> None:
    section.pop("title", None)
    for value in section["properties"].values():
        if value.get("title") not in VALUE_TITLES:
            value.pop("title", None)


def _allow_variables(schema: Schema) -> Schema:
    """Let every value that is not any text be a variable too."""
    inner = dict(schema)
    for keyword in ("items", "additionalProperties"):
        if isinstance(inner.get(keyword), dict):
            inner[keyword] = _allow_variables(inner[keyword])
    if "properties" in inner:
        inner["properties"] = {
            key: _allow_variables(value) for key, value in inner["properties"].items()
        }
    is_nested = "type" not in inner or inner["type"] in ("object", "array")
    is_any_text = inner.get("type") == "string" and not {"enum", "pattern"} & inner.keys()
    if is_nested or is_any_text:
        return inner
    notes: Schema = {key: inner.pop(key) for key in ("description", "default") if key in inner}
    return {**notes, "anyOf": [inner, {"$ref": f"#/$defs/{_VARIABLE}"}]}
