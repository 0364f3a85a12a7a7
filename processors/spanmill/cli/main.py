"""The command line: `spanmill COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from spanmill.errors import ConfigError, SpanmillError
from spanmill.kernels import ALL_KERNELS, kernels_wanted, missing_kernels

_COMMANDS: Final = {
    "run": ("spanmill.cli.run", "receive spans, derive metrics, forward traces"),
    "demo": ("spanmill.cli.demo.command", "watch it work on small services that call each other"),
    "replay": ("spanmill.cli.replay.command", "send recorded spans to an OTLP endpoint, as of now"),
    "journal": ("spanmill.cli.journal.command", "look into a state directory, take records out"),
    "check": ("spanmill.cli.check", "say whether a configuration file can be used"),
    "doctor": ("spanmill.cli.doctor.command", "say how a running spanmill is, and what to do"),
    "explain-name": ("spanmill.cli.explain_name", "show what a span name becomes, and why"),
    "explain-series": ("spanmill.cli.explain_series", "show what fills a processor's series"),
    "config": ("spanmill.cli.config_docs", "print the configuration's schema or reference"),
}
"""Each command, the module that runs it (loaded only for that command), and its purpose."""

EXIT_UNUSABLE: Final = 2
EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. 2 means that it could not begin."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # grpcio's core writes lines of its own to standard error; what matters of them is logged.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # numpy's algebra is not used; its threads would take the signals that `run` waits for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        parsed = _parser(given).parse_args(given)
        kernels_wanted()  # its switch is refused now, not where a kernel is first looked for
        result: int = importlib.import_module(_COMMANDS[parsed.command][0]).run(parsed)
    except ConfigError as error:
        print(error, file=sys.stderr)  # each line begins with file and line, as compilers do
        return EXIT_UNUSABLE
    except SpanmillError as error:
        print(f"spanmill: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanmill",
        description="Exact metrics from every span; the traces go on byte for byte.",
    )
    parser.add_argument("--version", action=_ShowVersion)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((argument for argument in given if argument in _COMMANDS), None)
    for name, (module, purpose) in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name == chosen:
            importlib.import_module(module).configure(command)
    return parser


class _ShowVersion(argparse.Action):
    """Loads the decoder only when asked which one would run."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show what would run, and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version, the decoder, the kernels that are missing, and the interpreter."""
        from spanmill.spans.installed import load_decoder

        what_runs = f"{load_decoder(()).kind} decoder{_without(missing_kernels())}"
        print(f"spanmill {version('spanmill')} ({what_runs}Python {platform.python_version()})")
        parser.exit()


def _without(missing: Sequence[str]) -> str:
    if len(missing) == len(ALL_KERNELS):
        return ", without any kernel; "
    return f", without kernels: {', '.join(missing)}; " if missing else ", "


if __name__ == "__main__":
    sys.exit(main())
