"""`spanmill config`: the schema and the reference of the configuration file."""

from __future__ import annotations

import argparse
import json

from spanmill.config.reference import reference_page
from spanmill.config.schema import file_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    pages = parser.add_subparsers(dest="page", required=True, metavar="PAGE")
    pages.add_parser("schema", help="print the file's JSON Schema, for editors")
    pages.add_parser("reference", help="print the page on every key, in Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Print the page that was asked for."""
    if arguments.page == "schema":
        print(json.dumps(file_schema(), indent=2, ensure_ascii=False))
    else:
        print(reference_page(), end="")
    return 0
