"""Processors of one's own, made as the configuration says."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from spanmill.config.processors import ProcessorConfig
from spanmill.errors import DeclarationError, FamilyConflictError, StartError
from spanmill.processors.hosted import HostedProcessor
from spanmill.processors.loading import class_in_file, class_of_entry_point, described
from spanmill.processors.metrics import Metrics
from spanmill.series.registry import Registry

_NO_METRIC: Final = (
    "declares no metric: do so in its constructor, as in "
    'self.requests = metrics.counter("shop_requests_total", "Requests.")'
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a processor comes from, for errors: its place in the configuration, its class."""

    name: str
    made: type
    file: Path | None

    def error(self, text: str) -> StartError:
        """What is wrong with it, in one sentence that names it."""
        where = f"{self.file}: " if self.file is not None else ""
        return StartError(f"{where}{self.made.__name__} {text}")


def build_own_processor(config: ProcessorConfig, registry: Registry) -> HostedProcessor:
    """Load a processor's class and make it, with metrics in `registry`.

    Raises StartError, a sentence with the file, the line where there is one, and what to change.
    """
    if config.file is not None:
        made = class_in_file(config.file, config.class_name, f"spanmill_processor_{config.name}")
        file: Path | None = config.file
    else:
        assert config.entry_point is not None, "the model has one of the two"
        made = class_of_entry_point(config.entry_point)
        module_file = getattr(sys.modules.get(made.__module__), "__file__", None)
        file = Path(module_file) if module_file is not None else None
    source = _Source(config.name, made, file)
    _check_settings(source, config.settings)
    metrics = Metrics(
        registry, config.name, config.max_series, round(config.idle_timeout * 1_000_000_000)
    )
    try:
        processor = made(metrics, **config.settings)
    except (DeclarationError, FamilyConflictError) as error:
        raise StartError(described(error, file)) from error
    except (Exception, SystemExit) as fault:  # anything can go wrong in an author's constructor
        raise StartError(described(fault, file)) from fault
    metrics.close()
    problem = shape_problem(processor, metrics)
    if problem is not None:
        raise source.error(problem)
    hosted = HostedProcessor(processor, metrics)
    registry.keep(f"own.{config.name}", hosted)
    return hosted


def shape_problem(processor: object, metrics: Metrics) -> str | None:
    """What keeps an object from being a processor, to be said after its name; None for one."""
    return (
        _attributes_problem(getattr(processor, "attributes", None))
        or _method_problem(processor, "observe", "batch")
        or _method_problem(processor, "tick", "now_ns")
        or _keeping_problem(processor)
        or (None if metrics.any_declared() else _NO_METRIC)
    )


def _attributes_problem(attributes: object) -> str | None:
    if attributes is None:
        return (
            "doesn't say which span attributes it reads: write attributes = () for none, or derive "
            "from spanmill.processors.Processor"
        )
    if isinstance(attributes, str):
        return f"has a text as attributes; for one attribute write ({attributes!r},)"
    if not isinstance(attributes, tuple) or not all(
        isinstance(key, str) and key for key in attributes
    ):
        return f"must have a tuple of attribute keys as attributes; given {attributes!r:.100}"
    return None


def _method_problem(processor: object, method: str, *arguments: str) -> str | None:
    call = getattr(processor, method, None)
    if not callable(call):
        return f"has no method {method}({', '.join(('self', *arguments))}): write one" + (
            ", or derive from spanmill.processors.Processor" * (method == "tick")
        )
    try:
        inspect.signature(call).bind(*arguments)
    except TypeError:
        taken = ", ".join(arguments)
        return f"has a method {method}{inspect.signature(call)}, which must take ({taken})"
    return None


def _keeping_problem(processor: object) -> str | None:
    """One of state() and restore() alone keeps nothing; `state` may be a value of the author's."""
    if callable(getattr(processor, "restore", None)):
        return _method_problem(processor, "state") or _method_problem(processor, "restore", "state")
    if callable(getattr(processor, "state", None)):
        return _method_problem(processor, "restore", "state")
    return None


def _check_settings(source: _Source, settings: Mapping[str, Any]) -> None:
    """Refuse settings that the constructor doesn't take, or lacks."""
    signature = inspect.signature(source.made)
    try:
        signature.bind(None, **settings)
    except TypeError as error:
        parameters = list(signature.parameters.values())
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise source.error(
                "must take the metrics first: def __init__(self, metrics, …)"
            ) from None
        known = [parameter.name for parameter in parameters[1:]]
        for key in settings:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = (
                    f"did you mean {near[0]!r}?"
                    if near
                    else f"it takes {', '.join(known)}"
                    if known
                    else "it takes none"
                )
                raise source.error(f"takes no setting {key!r}; {hint}") from None
        missing = [
            p.name
            for p in parameters[1:]
            if p.default is p.empty and p.kind is not p.VAR_KEYWORD and p.name not in settings
        ]
        if missing:
            raise source.error(f"needs the setting {missing[0]!r}") from None
        raise source.error(f"can't be made: {error}") from None
