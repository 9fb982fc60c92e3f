"""Who answers: this process, or the server that owns the embedded store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from polyhouse.errors import BadInputError, StoreInUseError
from polyhouse.reads.relations.question import Question

if TYPE_CHECKING:
    from polyhouse.reads.relations.answer import Answer
    from polyhouse.settings import Settings
    from polyhouse.warehouse.lock import HolderInfo
    from polyhouse.wiring import Stores

T = TypeVar("T")


class Connection:
    """Asks the stores of an installation. They are opened at the first question that nobody else can answer.

    Args:
        settings: where the stores are.
        note: told what happens on the way, a line each (a moment of the past that had to make room).
    """

    def __init__(self, settings: Settings, note: Callable[[str], None] = lambda _: None) -> None:
        self._settings = settings
        self._note = note
        self._stack = ExitStack()
        self._stores: Stores | None = None
        self._lock = threading.RLock()
        self._is_closed = False

    @property
    def settings(self) -> Settings:
        """Where the stores are."""
        return self._settings

    def ask(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The document of a read command (``reads.queries.answer``). Arguments that are None are left out.

        ``as_of`` is built first if it is not kept; a server that owns the store answers only what is kept.

        Raises:
            StoreInUseError: another process owns the store and serves no reads.
            PolyhouseError: whatever the read itself raises, wherever it ran.
        """
        given = {key: value for key, value in arguments.items() if value is not None}

        def here(stores: Stores) -> dict[str, Any]:
            from polyhouse.reads.queries import answer

            if "as_of" in given:
                self._keep(stores, given["as_of"])
            return answer(name, given, stores.warehouse, stores.state)

        def there(server: HolderInfo) -> dict[str, Any]:
            from polyhouse.api.remote import ask_server

            return ask_server(server, name, given)

        return self._either(here, there)

    @contextmanager
    def stream(self, question: Question) -> Iterator[Answer]:
        """The answer to a question to a table, open for as long as the block lasts. Errors as of ``ask``."""
        with ExitStack() as stack:

            def here(stores: Stores) -> Answer:
                from polyhouse.reads.relations.answer import answer_question

                if question.as_of:
                    self._keep(stores, question.as_of)
                answer = answer_question(stores.warehouse, question)
                # Whoever stops in the middle gives the store back now, not when somebody forgets the error.
                stack.callback(answer.close)
                return answer

            def there(server: HolderInfo) -> Answer:
                from polyhouse.api.remote import stream_from

                return stack.enter_context(stream_from(server, question))

            yield self._either(here, there)

    def use(self, work: Callable[[Stores], T]) -> T:
        """Do something with the open stores, which takes them from everybody else.

        Raises:
            StoreInUseError: another process owns the store.
        """
        return work(self._open())

    def close(self) -> None:
        """Give the stores free. Nothing can be asked afterwards."""
        with self._lock:
            self._is_closed = True
            self._stores = None
            self._stack.close()

    def _either(self, here: Callable[[Stores], T], there: Callable[[HolderInfo], T]) -> T:
        if self._stores is None and (server := self._server()) is not None:
            return there(server)
        try:
            stores = self._open()
        except StoreInUseError:
            server = self._server()  # one may have started between the look and the attempt
            if server is None:
                raise
            return there(server)
        return here(stores)

    def _open(self) -> Stores:
        from polyhouse.wiring import open_stores

        with self._lock:
            if self._is_closed:
                raise BadInputError("this connection is closed", hint="polyhouse.open() makes a new one")
            if self._stores is None:
                self._stores = self._stack.enter_context(open_stores(self._settings))
            return self._stores

    def _server(self) -> HolderInfo | None:
        from polyhouse.warehouse.lock import holder

        info = holder(self._settings.engine_url())
        return info if info is not None and info.url else None

    def _keep(self, stores: Stores, text: str) -> None:
        from polyhouse.api.moments import keep

        keep(stores, text, self._note)
