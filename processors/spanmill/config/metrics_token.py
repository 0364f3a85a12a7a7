"""METRICS_AUTH_TOKEN: the token of the scrape, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from spanmill.config.auth import ScrapeAuthConfig, check_token
from spanmill.config.model import Config
from spanmill.errors import ConfigError

METRICS_AUTH_TOKEN: Final = "METRICS_AUTH_TOKEN"


def with_metrics_token(config: Config, environ: Mapping[str, str]) -> Config:
    """The configuration with the environment's token; the same one where there is none.

    An empty variable is refused, since a secret that went missing must not open the endpoint.
    Raises ConfigError.
    """
    text = environ.get(METRICS_AUTH_TOKEN)
    if text is None:
        return config
    try:
        check_token(text)
    except ValueError as error:
        raise ConfigError(f"the environment variable {METRICS_AUTH_TOKEN} {error}") from None
    prometheus = config.exporters.prometheus
    auth = prometheus.auth or ScrapeAuthConfig()
    if auth.token is not None or auth.token_file is not None:
        raise ConfigError(
            f"the environment variable {METRICS_AUTH_TOKEN} is set, and so is a token in "
            "exporters.prometheus.auth: set one of them"
        )
    auth = auth.model_copy(update={"token": SecretStr(text)})
    prometheus = prometheus.model_copy(update={"auth": auth})
    exporters = config.exporters.model_copy(update={"prometheus": prometheus})
    return config.model_copy(update={"exporters": exporters})
