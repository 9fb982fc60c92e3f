"""What a discovery was asked to do and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyhouse.sync.discovery_hook import SOURCES


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """Where wallets are looked for.

    Attributes:
        sources: words of ``discovery_hook.SOURCES``; none = the file alone if there is one, else everything that is
            configured.
        file: list of addresses, for the source ``file``.
        dry_run: plan and count only.
    """

    sources: tuple[str, ...] = ()
    file: Path | None = None
    dry_run: bool = False

    def chosen(self, *, has_users: bool) -> tuple[str, ...]:
        """The sources in the order in which they are asked."""
        if self.sources:
            return tuple(source for source in SOURCES if source in self.sources)
        if self.file is not None:
            return ("file",)
        left_out = {"file"} if has_users else {"file", "users"}
        return tuple(source for source in SOURCES if source not in left_out)

    def args(self) -> dict[str, Any]:
        """The options as JSON for the record of the run; set ones only."""
        args: dict[str, Any] = {"sources": list(self.sources)} if self.sources else {}
        return args | ({"file": str(self.file)} if self.file is not None else {})


@dataclass(frozen=True, slots=True)
class Clamp:
    """A list that the upstream does not give to its end.

    Attributes:
        what: which list, in words.
        rows: how many rows it gave.
        found_otherwise: wallets of the rest that another road found.
        covered_by: which road covers the gap, in words.
    """

    what: str
    rows: int
    found_otherwise: int
    covered_by: str


@dataclass(slots=True)
class DiscoverReport:
    """What a discovery found.

    Attributes:
        sources: source → ``seen`` (different wallets), ``new``, ``known``, ``rejected``.
        totals: ``seen``, ``new`` and ``known`` over all sources, each wallet once.
        clamps: lists that were cut.
        missing: tables and columns of the user database that could not be read.
        rejected: place → values there that are no wallet addresses.
        links: links between signers and wallets that are new.
    """

    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    clamps: list[Clamp] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    links: int = 0

    def document(self) -> dict[str, Any]:
        """The report as a JSON document."""
        return {
            "sources": self.sources,
            "wallets": self.totals,
            "links_new": self.links,
            "clamps": [
                {
                    "list": clamp.what, "rows": clamp.rows, "found_otherwise": clamp.found_otherwise,
                    "covered_by": clamp.covered_by,
                }
                for clamp in self.clamps
            ],
            "missing": self.missing,
            "rejected": dict(self.rejected),
        }  # fmt: skip
