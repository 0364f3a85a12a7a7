from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.load import load_config
from spanmill.errors import ConfigError

FRAGMENTS = (
    *("receivers", "otlp", "grpc", "http", "exporters", "otlp_traces", "prometheus", "endpoint"),
    *("span_metrics", "dimensions", "buckets", "tempo", "tls", "retry", "headers", "state"),
    *(
        "null",
        "true",
        "5",
        "-1",
        "1.5",
        "15m",
        "64MiB",
        "127.0.0.1:1",
        "http://h",
        "''",
        "[]",
        "{}",
    ),
    *(": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<", "!t "),
    *("${env:A}", "${env:B:-5}", "${env:C}", "$$", "${", "'", '"', "|\n  ", "#", "---", "? ", "\t"),
)


def loads_or_says_where(text: str) -> None:
    """Fail where a text ends in another way than a configuration or lines of problems."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_text(text, encoding="utf-8")
        try:
            load_config(path, {"A": "1", "B": ""})
        except ConfigError as error:
            for line in str(error).splitlines():
                assert re.match(re.escape(str(path)) + r":[0-9]+: .", line)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_any_text_is_a_configuration_or_problems(text: str) -> None:
    loads_or_says_where(text)


KEYS = (
    *("receivers", "otlp", "grpc", "http", "endpoint", "exporters", "otlp_traces", "otlp_metrics"),
    *("protocol", "headers", "tls", "cert_file", "retry", "max_interval", "span_metrics", "log"),
    *("dimensions", "dialects", "buckets", "tempo", "level", "state", "directory", "unknown"),
)


Nested = st.recursive(
    st.sampled_from((None, True, 0, -1, 7, 1.5, "", "x", "15m", "h:1", "http://h", "${env:A}")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(
    st.sampled_from(
        (
            (),
            ("receivers", "otlp"),
            ("exporters", "otlp_traces"),
            ("exporters", "otlp_traces", "tempo"),
            ("span_metrics",),
        )
    ),
    Nested,
)
def test_any_values_are_a_configuration_or_problems(at: tuple[str, ...], values: object) -> None:
    for key in reversed(at):
        values = {key: values}
    loads_or_says_where(yaml.safe_dump(values))
