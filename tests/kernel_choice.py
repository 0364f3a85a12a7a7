"""Tests that run with kernels, and again with their references."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from spanmill.kernels import SWITCH, load_kernel


def kernel_or_reference(*kernels: str) -> Callable[..., Iterator[str]]:
    """A fixture for all tests of a module: once with these kernels, once without any."""

    @pytest.fixture(autouse=True, scope="module", params=["kernel", "reference"])
    def choice(request: pytest.FixtureRequest) -> Iterator[str]:
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "reference":
                patch.setenv(SWITCH, "off")
            elif not all(map(load_kernel, kernels)):
                pytest.skip(f"not built: {', '.join(kernels)}")
            yield request.param

    return choice
