"""The classes of processors of one's own: out of a file, or as an installed package offers them."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from spanmill.errors import SpanmillError, StartError

GROUP: Final = "spanmill.processors"
"""The group of entry points in which an installed package offers processors."""


def class_in_file(file: Path, class_name: str | None, module_name: str) -> type:
    """The class of that name in a Python file, or the only one with a method `observe`.

    Runs the file, once, as the module `module_name`. Raises StartError: where, and what is wrong.
    """
    module = _run(file, module_name)
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module_name
    }
    if class_name is not None:
        if class_name not in own:
            raise StartError(
                f"{file} has no class {class_name!r}; {_instead(class_name, list(own))}"
            )
        return own[class_name]
    found = [name for name, value in own.items() if callable(getattr(value, "observe", None))]
    if not found:
        raise StartError(f"{file} has no processor: a class with a method observe(self, batch)")
    if len(found) > 1:
        raise StartError(
            f"{file} has several processors ({', '.join(found)}): say which by class_name"
        )
    return own[found[0]]


def class_of_entry_point(name: str) -> type:
    """The class that an installed package offers under this name.

    Nothing else that is installed is imported. Raises StartError: what is wrong.
    """
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        raise StartError(
            f"no installed package offers the processor {name!r} (entry points of the group "
            f"{GROUP}); {_instead(name, list(offered))}"
        )
    point = offered[name]
    try:
        loaded = point.load()
    except (Exception, SystemExit) as fault:  # anything can go wrong in an author's module
        raise StartError(
            f"the entry point {name} ({point.value}) can't be imported: {described(fault)}"
        ) from fault
    if not isinstance(loaded, type):
        raise StartError(f"the entry point {name} ({point.value}) is no class")
    return loaded


def described(fault: BaseException, file: Path | None = None) -> str:
    """An author's fault in one line: the innermost line of `file`, or of all, and what happened.

    A text that StartError has after the file it is about: `FILE:LINE: TYPE: MESSAGE`.
    """
    if isinstance(fault, SyntaxError) and fault.filename is not None:
        where = file if file is not None and _is_same(fault.filename, file) else fault.filename
        return f"{where}:{fault.lineno}: {type(fault).__name__}: {fault.msg}"
    frames = traceback.extract_tb(fault.__traceback__)
    own = [frame for frame in frames if file is None or _is_same(frame.filename, file)]
    message = " ".join(str(fault).split())[:500]
    named = not isinstance(fault, SpanmillError)  # whose messages are sentences
    said = ": ".join(filter(None, [type(fault).__name__ * named, message]))
    if not own:
        return said if file is None else f"{file}: {said}"
    return f"{file or own[-1].filename}:{own[-1].lineno}: {said}"


def _run(file: Path, module_name: str) -> ModuleType:
    if not file.is_file():
        reason = "is no file" if file.exists() else "doesn't exist"
        raise StartError(f"{file} {reason} (seen from {Path.cwd()})")
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise StartError(f"{file} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look a class's module up by its name.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as fault:  # anything can go wrong in an author's file
        del sys.modules[module_name]
        raise StartError(described(fault, file)) from fault
    return module


def _is_same(filename: str, file: Path) -> bool:
    return Path(filename).resolve() == file.resolve()


def _instead(name: str, there: Sequence[str]) -> str:
    near = get_close_matches(name, there, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(sorted(there))}" if there else "there is none"
