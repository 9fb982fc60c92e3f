"""What a line of the log and a trace say beside their text: run, wallet, job, build; and spans, if somebody wants them.

Without ``trace_to`` a span is nothing: no import, no object, no cost that could be measured. With it, spans go where
OpenTelemetry's own exporter brings them (extra ``otel``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

_fields: ContextVar[dict[str, Any] | None] = ContextVar("polyhouse_log_fields", default=None)
_NOTHING: AbstractContextManager[None] = nullcontext()
_tracer: Any = None
_provider: Any = None


def fields() -> dict[str, Any]:
    """What is bound here, for every line of the log."""
    return dict(_fields.get() or {})


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Meanwhile every line of the log, and every span, that this task or thread makes has these fields.

    Tasks and threads (``asyncio.to_thread``) that are started meanwhile inherit them.
    """
    before = _fields.get()
    token = _fields.set({**(before or {}), **values})
    try:
        yield
    finally:
        _fields.reset(token)


def span(name: str, **attributes: Any) -> AbstractContextManager[Any]:
    """One unit of work in a trace: a command, job, request, page or step of a build. Nothing while nobody traces."""
    if _tracer is None:
        return _NOTHING
    told = {f"polyhouse.{key}": value for key, value in {**fields(), **attributes}.items()}
    return _tracer.start_as_current_span(name, attributes=told)  # type: ignore[no-any-return]


def trace_to(endpoint: str, *, exporter: Any = None) -> None:
    """From now on spans are sent.

    Args:
        endpoint: OTLP over HTTP, like ``http://127.0.0.1:4318``.
        exporter: another exporter of OpenTelemetry instead.

    Raises:
        ConfigError: the packages are not installed.
    """
    global _tracer, _provider  # noqa: PLW0603 - one tracer a process, as in OpenTelemetry itself
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError as error:
        from polyhouse.errors import ConfigError

        raise ConfigError("traces need OpenTelemetry", hint="pip install 'polyhouse[otel]'") from error
    _provider = TracerProvider(resource=Resource.create({"service.name": "polyhouse"}))
    if exporter is not None:
        _provider.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        url = f"{endpoint.rstrip('/')}/v1/traces"
        _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    _tracer = _provider.get_tracer("polyhouse")


def stop_tracing() -> None:
    """Send what waits, and trace no more."""
    global _tracer, _provider  # noqa: PLW0603 - see ``trace_to``
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None
