"""One run of the demo: everything comes up, is watched, and goes down in order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from spanmill.cli.demo import children, processes
from spanmill.cli.demo.children import Child
from spanmill.cli.demo.interruption import Interruption
from spanmill.cli.demo.load import Load
from spanmill.cli.demo.ports import Endpoints
from spanmill.cli.demo.routing import HEALTH_PATH
from spanmill.cli.demo.scrape import read
from spanmill.cli.demo.service import FAIL, RECOVER
from spanmill.cli.demo.shop import SERVICES
from spanmill.cli.demo.watch import Watch
from spanmill.clock import Clock

_LAST_CUSTOMERS = 3.0  # seconds for the requests in flight at the end
_LAST_SPANS = 5.0  # seconds for the services to export what they hold
_PROCESSOR_END = 5.0  # seconds for the processor to end


class Session:
    """The processes of one run."""

    def __init__(
        self,
        ports: Mapping[str, int],
        directory: Path,
        *,
        clock: Clock,
        interruption: Interruption,
    ) -> None:
        self._ports = ports
        self._endpoints = Endpoints.on(ports)
        self._directory = directory
        self._clock = clock
        self._interruption = interruption
        self._processor: Child | None = None
        self._services: dict[str, Child] = {}
        self._load: Load | None = None
        self._watch: Watch | None = None

    def start(self) -> Watch | None:
        """Start the processor, the services and the traffic; None if the user ended it before.

        StartError if something does not come up.
        """
        self._processor = processes.start_processor(self._ports, self._directory)
        if not self._is_up(self._processor, self._endpoints.ready):
            return None
        started = processes.start_services(self._endpoints, self._directory)
        self._services = {name: child for name, (child, _) in started.items()}
        for child, url in started.values():
            if not self._is_up(child, url + HEALTH_PATH):
                return None
        _, storefront = started[SERVICES[0].name]
        self._load = Load(storefront, random.Random())
        self._load.start()
        self._watch = Watch(
            self._endpoints,
            processor=self._processor,
            services=list(self._services.values()),
            let_payment_fail=self._let_payment_fail,
            read_metrics=read,
            clock=self._clock,
        )
        return self._watch

    def stop(self) -> list[str]:
        """End the traffic, the services, then the processor; in between, read the last counts.

        A line for each process that had to be killed.
        """
        if self._load is not None:
            self._load.stop(_LAST_CUSTOMERS)
        said = self._end(list(self._services.values()), _LAST_SPANS)
        if self._watch is not None:
            self._watch.read()
        if self._processor is not None:
            said += self._end([self._processor], _PROCESSOR_END)
        return said

    def _is_up(self, child: Child, url: str) -> bool:
        return processes.wait_until_up(
            child,
            url,
            answers=processes.answers_200,
            clock=self._clock,
            interruption=self._interruption,
        )

    def _let_payment_fail(self, failing: bool) -> None:
        self._services["payment"].tell(FAIL if failing else RECOVER)

    def _end(self, ending: Sequence[Child], timeout: float) -> list[str]:
        killed = children.stop(ending, timeout, self._clock)
        return [f"{name} did not end within {timeout:.0f} s and was killed" for name in killed]
