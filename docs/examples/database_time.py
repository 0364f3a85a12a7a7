"""Time in databases, by service, system and kind of statement."""

from spanmill.processors import (
    CLIENT,
    Metrics,
    Processor,
    SpanBatch,
    first_given,
    map_values,
    service_names,
)

KINDS = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP"}


def statement_kind(text: object) -> str:
    words = str(text).split(maxsplit=1)
    kind = words[0].upper() if words else ""
    return kind if kind in KINDS else "other"


class DatabaseTime(Processor):
    attributes = ("db.system.name", "db.operation.name", "db.query.text")

    def __init__(self, metrics: Metrics) -> None:
        self.time = metrics.histogram(
            "db_time_seconds", "Time of statements.", labels=("service", "system", "statement")
        )

    def observe(self, batch: SpanBatch) -> None:
        system, operation, text = (batch.attributes[key] for key in self.attributes)
        kind = map_values(first_given(operation, text), statement_kind)
        where = (batch.kind == CLIENT) & (kind.codes >= 0)
        self.time.observe(batch, [service_names(batch), system, kind], where=where)
