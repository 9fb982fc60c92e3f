"""Moments of the past, built when somebody asks about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyhouse.models.as_of import Moment
    from polyhouse.wiring import Stores


def keep(stores: Stores, text: str, note: Callable[[str], None]) -> Moment:
    """Build the models as of a moment, unless they are kept and nothing older arrived since.

    Args:
        stores: open stores.
        text: the moment.
        note: told which older moments had to make room.

    Raises:
        BadInputError: no such time, or the store knows nothing from then.
    """
    from polyhouse.domain.times import format_time, parse_time
    from polyhouse.models.as_of import keep_moment
    from polyhouse.sync.turns import building

    with building(stores.state):
        made = keep_moment(stores.warehouse, parse_time(text, "as_of"))
    for gone in made.forgotten:
        note(f"as of {format_time(gone)}: forgotten, because only the newest ones are kept")
    return made
