"""Wallets that somebody named, each once and in that order, in little memory however many they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError

_GROUP = 10_000


class WalletList:
    """A list on disk: SQLite's private temporary database, which spills what its small cache does not hold and vanishes
    with the object. Not for several threads at once.
    """

    def __init__(self, wallets: Iterable[bytes] = ()) -> None:
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE chosen (place INTEGER PRIMARY KEY, wallet BLOB NOT NULL UNIQUE)")
        self.add(wallets)

    def add(self, wallets: Iterable[bytes]) -> None:
        """Append those that are not in the list yet."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO chosen (wallet) VALUES (?)", ((wallet,) for wallet in wallets))
        self._db.execute("COMMIT")

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM chosen").fetchone()[0])

    def groups(self, size: int = _GROUP) -> Iterator[list[bytes]]:
        """The wallets in groups of ``size``; the list may be used for other things between two groups."""
        after = 0
        query = "SELECT place, wallet FROM chosen WHERE place > ? ORDER BY place LIMIT ?"
        while rows := self._db.execute(query, (after, size)).fetchall():
            after = rows[-1][0]
            yield [row[1] for row in rows]

    def joined(self) -> bytearray:
        """All wallets, joined (20 bytes each)."""
        found = bytearray()
        for group in self.groups():
            found += b"".join(group)
        return found

    def close(self) -> None:
        """Throw the list away."""
        self._db.close()


def wallet_file_groups(path: Path, size: int = _GROUP) -> Iterator[list[bytes]]:
    """Addresses of a file in groups, one address per line; empty lines and ``#`` comments are passed over.

    Raises:
        BadInputError: the file cannot be read, or a line is no address; the message names the line.
    """
    addresses = _addresses(path)
    while group := list(islice(addresses, size)):
        yield group


def check_wallet_file(path: Path) -> None:
    """Read a file to its end and keep nothing, so that a bad line is found before anything is done.

    Raises:
        BadInputError: as ``wallet_file_groups``.
    """
    for _ in _addresses(path):
        pass


def _addresses(path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007 - the error handlers name the line
                text = line.partition("#")[0].strip()
                if text:
                    yield parse_address(text)
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}, after line {number}: not a text in UTF-8 ({error.reason}).") from error
    except OSError as error:
        raise BadInputError(f"The wallet file {path} cannot be read: {error.strerror}.") from error
    except BadInputError as error:
        raise BadInputError(f"{path}, line {number}: {error}", hint=error.hint) from error


def in_groups(wallets: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Slices of ``size``."""
    return (wallets[start : start + size] for start in range(0, len(wallets), size))
