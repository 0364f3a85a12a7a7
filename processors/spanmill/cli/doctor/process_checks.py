"""What runs: version, decoder, kernels, memory of the process that is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.samples import Samples

_BUILD: Final = "build the kernels: install spanmill where a C compiler is, see docs/decoder.md"


def check_process(samples: Samples, own_version: str) -> Iterator[Finding]:
    """Version against that of this command, decoder, kernels, processors, series."""
    version = samples.label("spanmill_build_info", "version")
    if version is None:
        yield fail("version", "the process shows none", "is it spanmill's scrape endpoint?")
        return
    if version == own_version:
        yield ok("version", version)
    else:
        yield warn(
            "version",
            f"{version} runs, this command is of {own_version}",
            "restart the process if it was upgraded, or call the doctor that came with it",
        )
    yield _decoder(samples)
    yield _kernels(samples)
    yield from _processors(samples)


def _decoder(samples: Samples) -> Finding:
    kind = samples.label("spanmill_decoder_info", "kind")
    if kind == "compiled":
        return ok("decoder", "compiled")
    return warn("decoder", f"the {kind} decoder runs, 5 times slower", _BUILD)


def _kernels(samples: Samples) -> Finding:
    missing = sorted(
        labels["kernel"]
        for labels, _ in samples.each("spanmill_kernel_info", loaded="false")
        if "kernel" in labels
    )
    if not missing:
        return ok("kernels", "all loaded")
    return warn("kernels", f"not loaded: {', '.join(missing)}", _BUILD)


def _processors(samples: Samples) -> Iterator[Finding]:
    for labels, errors in samples.each("spanmill_processor_errors_total"):
        if errors:
            yield warn(
                f"processor {labels.get('processor')}",
                f"failed on {errors:.0f} batches and ticks",
                "the log says why; one that keeps failing is switched off",
            )
    for labels, series in samples.each("spanmill_series"):
        name = labels.get("processor", "")
        limit = samples.value("spanmill_series_limit", processor=name)
        if limit and series >= limit:
            yield warn(
                f"series of {name}",
                f"all {limit:.0f} are in use",
                f"see what fills them with `spanmill explain-series --processor {name}`",
            )
