"""Which section of the model a key path leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args, get_origin

from spanmill.config.model import Config
from spanmill.config.problems import KeyPath
from spanmill.config.section import Section


def section_at(key_path: KeyPath) -> type[Section] | None:
    """The section that `key_path` names; None where there is none (a value, a mapping of names)."""
    section: type[Section] | None = Config
    names_follow = False
    for key in key_path:
        if names_follow:
            names_follow = False
            continue
        field = section.model_fields.get(str(key)) if section is not None else None
        if field is None:
            return None
        section = section_in(field.annotation)
        names_follow = get_origin(field.annotation) in {Mapping, tuple}  # a name, or a place
    return None if names_follow else section


def can_be_off(key_path: KeyPath) -> bool:
    """Whether a key takes a section or null, so that an empty one could mean either."""
    parent = section_at(key_path[:-1])
    field = parent.model_fields.get(str(key_path[-1])) if parent is not None else None
    if field is None:
        return False
    return type(None) in get_args(field.annotation) and section_in(field.annotation) is not None


def is_always_on(key_path: KeyPath) -> bool:
    """Whether a key takes a section and nothing else, so that null would turn off what can't be."""
    parent = section_at(key_path[:-1])
    field = parent.model_fields.get(str(key_path[-1])) if parent is not None else None
    return field is not None and field.annotation is section_in(field.annotation)


def section_in(annotation: object) -> type[Section] | None:
    """The section that a key's type is, may be, or has under each name."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = (section_in(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)
