"""How long each service has been silent, up to a day."""

import numpy as np

from spanmill.processors import Metrics, Processor, SpanBatch, State, service_names

MOST = 1000


class Silence(Processor):
    def __init__(self, metrics: Metrics, forget_after_seconds: float = 86_400) -> None:
        self.silence = metrics.gauge(
            "silence_seconds", "Time since the last span.", labels=("service",), unit="seconds"
        )
        self.forget_after_ns = forget_after_seconds * 1e9
        self.last: dict[str, int] = {}  # arrival by service, the latest at the end

    def observe(self, batch: SpanBatch) -> None:
        services = service_names(batch)
        for code in np.unique(services.codes).tolist():
            self.last.pop(services.values[code], None)
            self.last[services.values[code]] = batch.arrival_ns
        for service in list(self.last)[:-MOST]:
            del self.last[service]

    def tick(self, now_ns: int) -> None:
        self.last = {s: at for s, at in self.last.items() if now_ns - at < self.forget_after_ns}
        for service, at in self.last.items():
            self.silence.set([service], max(0, now_ns - at) / 1e9)

    def state(self) -> State:
        return {"last": dict(self.last)}

    def restore(self, state: State) -> None:
        self.last = state["last"]
