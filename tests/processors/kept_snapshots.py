"""What a registry shows, in a form that can be compared, and a restart of its parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from spanmill.journal.state import State, decode_state, encode_state
from spanmill.series.registry import Registry


def shown(registry: Registry, without: Collection[str] = ()) -> dict[str, list[Any]]:
    """Every family by its name, to the last bit, but for those of these beginnings.

    Nothing shows since when a gauge is there, so its stamps are left out.
    """
    families: dict[str, list[Any]] = {}
    for snapshot in registry.snapshot():
        name = snapshot.family.name
        if not name.startswith(tuple(without)):
            plain = _plain(snapshot)
            if snapshot.family.type == "gauge":
                del plain["created"]
            families.setdefault(name, []).append(plain)
    return families


def kept_states(registry: Registry) -> dict[str, bytes]:
    """The state of each kept part, as bytes."""
    with registry.lock:
        states: dict[str, State] = {name: part.state() for name, part in registry.kept().items()}
    return {name: encode_state(state) for name, state in states.items()}


def restore_all(registry: Registry, states: Mapping[str, bytes]) -> None:
    """Bring every kept part's state back."""
    with registry.lock:
        for name, part in registry.kept().items():
            part.restore(decode_state(states[name]))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, [_plain(one) for one in value.ravel().tolist()])
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Mapping):
        return sorted((key, _plain(one)) for key, one in value.items())
    if isinstance(value, str | bytes | int | None):
        return value
    slots = getattr(type(value), "__slots__", None)
    if slots and hasattr(type(value), "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in slots}
    return [_plain(one) for one in value]
