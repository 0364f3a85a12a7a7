"""The compiled kernels, where they were built and are wanted."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from spanmill.errors import ConfigError

_log = logging.getLogger(__name__)

SWITCH: Final = "SPANMILL_KERNELS"
"""The environment variable that turns the kernels off: `SPANMILL_KERNELS=off`."""

ALL_KERNELS: Final = (
    "spanmill.exporters.exposition._render",
    "spanmill.processors.service_graph._columns",
    "spanmill.processors.service_graph._pairing",
    "spanmill.series._aliases",
    "spanmill.series._contenders",
    "spanmill.series._table",
    "spanmill.series._window",
    "spanmill.spans._decode",
    "spanmill.spans._decode_values",
    "spanmill.spans._decode_weights",
)
"""Every kernel that there is; a package without its sources could not tell otherwise."""


def load_kernel(name: str) -> ModuleType | None:
    """The compiled module of this full name, or None: then the reference does its work.

    None where it was not built, can't be loaded, was built from another version of its source,
    or where SPANMILL_KERNELS is `off`. The source itself is never run: uncompiled it is far
    slower than the reference. Raises ConfigError as `kernels_wanted` does.
    """
    return _load(name) if kernels_wanted() else None


def kernels_wanted() -> bool:
    """Whether SPANMILL_KERNELS is not `off`; raises ConfigError where it is not `on` either.

    Unset and empty are `on`.
    """
    value = os.environ.get(SWITCH) or "on"
    if value not in ("on", "off"):
        raise ConfigError(
            f"{SWITCH}: {value!r} is neither on nor off: unset it, or set it to off to run "
            "without the compiled kernels"
        )
    return value == "on"


def missing_kernels() -> tuple[str, ...]:
    """The kernels that are not used here, `series._table` for one; their references are."""
    return tuple(short_name(name) for name in ALL_KERNELS if load_kernel(name) is None)


def short_name(name: str) -> str:
    """A kernel's name as it is shown."""
    return name.removeprefix("spanmill.")


# Cached, so that what is wrong with a kernel is logged once, however many ask for it.
@cache
def _load(name: str) -> ModuleType | None:
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
        return None
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        _log.warning(
            "a kernel can't be loaded, so it is not used; build it again, on this system: "
            "python setup.py build_ext --inplace",
            extra={"kernel": name, "reason": str(error)},
        )
        return None
    source = Path(spec.origin).with_name(name.rpartition(".")[2] + ".py")
    if source.exists() and hashlib.sha256(source.read_bytes()).hexdigest() != module.SOURCE_SHA256:
        _log.warning(
            "a kernel was built from another version of its source, so it is not used; "
            "build it again: python setup.py build_ext --inplace",
            extra={"kernel": name},
        )
        return None
    return module
