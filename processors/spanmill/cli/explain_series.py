"""`spanmill explain-series`: what fills the series of a running spanmill, in words."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import urllib3

from spanmill.config.metrics_token import METRICS_AUTH_TOKEN
from spanmill.exporters.series_page import (
    LabelFigures,
    SeriesFigures,
    SeriesPage,
    ServiceFigures,
    read_series_page,
)

EXIT_UNREADABLE: Final = 2

_DEFAULT_URL: Final = "http://127.0.0.1:9464"
_TIMEOUT_SECONDS: Final = 5.0
_LARGEST_PAGE: Final = 1 << 20
_FEW_VALUES: Final = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--url",
        default=_DEFAULT_URL,
        help="the scrape endpoint of the running process (default: %(default)s)",
    )
    parser.add_argument("--processor", help="only this one (default: all of them)")


def run(arguments: argparse.Namespace) -> int:
    """Print what fills the series; 2 with one line if that can't be read."""
    page = _read(arguments.url)
    if isinstance(page, str):
        return _refuse(page)
    processors = page.processors
    if arguments.processor is not None:
        if arguments.processor not in processors:
            known = ", ".join(processors) or "none"
            return _refuse(f"there is no processor {arguments.processor}; there are: {known}")
        processors = {arguments.processor: processors[arguments.processor]}
    for name, figures in processors.items():
        for line in _explained(name, figures):
            print(line)
    return 0


def _refuse(reason: str) -> int:
    print(f"spanmill: {reason}", file=sys.stderr)
    return EXIT_UNREADABLE


def _read(url: str) -> SeriesPage | str:
    """What the process at this URL says, or why it says nothing."""
    if not url.lower().startswith(("http://", "https://")):
        return f"--url must begin with http:// or https://: {_printable(url)}"
    address = url.rstrip("/") + "/series"
    timeout = urllib3.Timeout(_TIMEOUT_SECONDS)
    try:
        with urllib3.PoolManager() as pool:
            answer = pool.request(
                "GET",
                address,
                headers=_authorization(os.environ),
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            body = answer.read(_LARGEST_PAGE + 1)
            answer.close()
    except urllib3.exceptions.HTTPError as error:
        return f"nothing answers at {address}: {_reason(error)}"
    if answer.status == 401:
        return f"{address} wants a token: set the environment variable {METRICS_AUTH_TOKEN}"
    if answer.status != 200:
        return f"{address} answers {answer.status}: is it spanmill's scrape endpoint?"
    try:
        return read_series_page(body)
    except msgspec.DecodeError:
        return f"{address} doesn't answer as spanmill's scrape endpoint does"


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get(METRICS_AUTH_TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """The innermost cause in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return " ".join(text.split()).lower()


def _explained(name: str, figures: SeriesFigures) -> Iterator[str]:
    used = f"{name}: {figures.series:,} of {figures.limit:,} series are in use"
    if not figures.labels and not figures.overflow_ratio:
        yield f"{used}; everything finds room"
        return
    yield (
        f"{used}; about {figures.demand:,} label sets are asked for"
        f"{_error(figures.demand_error_ratio)}"
    )
    yield f"  {figures.overflow_ratio:.1%} of the recent spans are in the overflow series"
    yield f"  {figures.exchanged:,} label sets have lost their series to busier ones so far"
    if not figures.labels:
        yield "  what drives the number is known within 10 seconds"
    for service in figures.services:
        yield from _service(service, figures.service_error_ratio)
    if figures.labels:
        counted = ", ".join(f"{label.label} ~{label.values:,}" for label in figures.labels)
        yield f"  distinct values of all services: {counted}"
    if figures.overflow_examples:
        yield "  in the overflow series, for example:"
    for labels in figures.overflow_examples:
        yield f"    {_label_set(labels)}"


def _service(service: ServiceFigures, error_ratio: float) -> Iterator[str]:
    name = _printable(service.service)
    asked = f"service {name} asks for ~{service.label_sets:,} label sets{_error(error_ratio)}"
    driving = [label for label in service.labels if label.values > _FEW_VALUES]
    yield f"  {asked}:" if driving else f"  {asked}"
    for label in driving:
        values = f"~{label.values:,} values{_such(label)}"
        yield f"    label {label.label} of service {name} has {values}"


def _such(label: LabelFigures) -> str:
    examples = ", ".join(f'"{_printable(example)}"' for example in label.examples[:3])
    return f", such as {examples}" if examples else ""


def _label_set(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{_printable(value)}"' for name, value in labels.items())


def _error(ratio: float) -> str:
    return f" (± {ratio:.1%})" if ratio else ""


def _printable(text: str) -> str:
    """The text without what would steer a terminal: label values come from anywhere."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
