"""Every test of the service graph runs with the kernels and with the reference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from processors.service_graph.joinings import KERNELS
from spanmill.kernels import SWITCH, load_kernel


@pytest.fixture(autouse=True, scope="module", params=["kernel", "reference"])
def joining(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which of the two brings sides together."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "reference":
            patch.setenv(SWITCH, "off")
        elif not all(map(load_kernel, KERNELS)):
            pytest.skip("the kernels of the service graph are not built")
        yield request.param
