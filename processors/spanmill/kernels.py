"""The compiled kernels, where they were built and are wanted."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

_log = logging.getLogger(__name__)

SWITCH: Final = "SPANMILL_KERNELS"
"""The environment variable that turns the kernels off: `SPANMILL_KERNELS=off`."""


def load_kernel(name: str) -> ModuleType | None:
    """The compiled module of this full name, or None: then the reference does its work.

    None where it was not built, was built from another version of its source, or where
    SPANMILL_KERNELS is `off`. The source itself is never run: uncompiled it is far slower than
    the reference.
    """
    if os.environ.get(SWITCH) == "off":
        return None
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
        return None
    module = importlib.import_module(name)
    source = Path(spec.origin).with_name(name.rpartition(".")[2] + ".py")
    if source.exists() and hashlib.sha256(source.read_bytes()).hexdigest() != module.SOURCE_SHA256:
        _log.warning(
            "a kernel was built from another version of its source, so it is not used; "
            "build it again: python setup.py build_ext --inplace",
            extra={"kernel": name},
        )
        return None
    return module
