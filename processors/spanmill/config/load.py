"""The configuration file, read, checked and with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.config.file_values import file_values
from spanmill.config.metrics_token import with_metrics_token
from spanmill.config.model import Config
from spanmill.config.problems import Problem, config_error, dotted
from spanmill.config.validation import validate
from spanmill.config.yaml_source import YamlError, read_yaml
from spanmill.errors import ConfigError

MAX_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, the file that it is from (None: only defaults), and what is set there.

    `lines` has the line of each key and item that is set, by its dotted path, of sections as well
    as of values.
    """

    config: Config
    path: Path | None
    lines: Mapping[str, int]


def load_config(path: Path | None, environ: Mapping[str, str]) -> LoadedConfig:
    """Read the configuration from `path`, or take the defaults where there is none.

    Raises ConfigError that names each problem of the file in a line of its own.
    """
    if path is None:
        return LoadedConfig(with_metrics_token(Config(), environ), None, {})
    try:
        document = read_yaml(_read(path))
    except YamlError as error:
        raise config_error(path, [error.problem]) from None
    values = file_values(document, environ)
    config, problems = validate(values)
    problems = values.problems + problems
    if config is None or problems:
        raise config_error(path, problems)
    lines = {dotted(key_path): line for key_path, line in values.lines.items()}
    return LoadedConfig(with_metrics_token(config, environ), path, lines)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a file") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(line, (), f"is not UTF-8: byte 0x{content[error.start]:02x}")
        raise config_error(path, [problem]) from None
