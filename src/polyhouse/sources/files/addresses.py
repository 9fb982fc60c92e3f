"""Lists of wallets in files: one address per line, or a CSV with a column that names them. Never read whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TextIO

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError

_GROUP = 5_000
_LONGEST_LINE = 1 << 20
WALLET_COLUMNS = (
    "wallet", "address", "wallet_address", "proxy_wallet", "proxywallet", "trading_wallet_address",
    "polymarket_account_address", "user", "user_id", "trader", "account", "maker", "funder",
)  # fmt: skip
"""Names of columns with wallets, in any case; the first of them that a header has is read."""
OWNER_COLUMNS = ("eoa", "eoa_wallet", "eoa_address", "owner", "signer")
"""Names of columns with signers."""


@dataclass(slots=True)
class AddressLines:
    """Some of the addresses of a file.

    Attributes:
        either: addresses that may be wallets or signers. owners: signers.
        pairs: (signer, wallet) that one line names together.
        bad: (line, what is wrong).
    """

    either: list[bytes] = field(default_factory=list)
    owners: list[bytes] = field(default_factory=list)
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def read_addresses(path: Path, *, group: int = _GROUP) -> Iterator[AddressLines]:
    """The addresses of a file, in groups of at most ``group`` lines.

    Without a header the first cell of every line is an address; ``#`` begins a comment, empty lines are passed over.

    Raises:
        BadInputError: the file cannot be read as text, or its header names no column with wallets.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = ((number, line) for number, line in enumerate(_lines(file, path), start=1) if _content(line))
            first = next(lines, None)
            if first is None:
                return
            header = _header(first[1], path)
            rows = lines if header else chain([first], lines)
            current, size = AddressLines(), 0
            for number, line in rows:
                _take(current, number, line, header)
                size += 1
                if size >= group:
                    yield current
                    current, size = AddressLines(), 0
            if size:
                yield current
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"The wallet file {path} cannot be read: {error}.") from error


@dataclass(frozen=True, slots=True)
class _Header:
    wallet: int | None
    owner: int | None


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    for line in iter(lambda: file.readline(_LONGEST_LINE + 1), ""):
        if len(line) > _LONGEST_LINE:
            raise BadInputError(f"The wallet file {path} has a line of more than a million characters: no such list.")
        yield line


def _content(line: str) -> str:
    return line.partition("#")[0].strip()


def _cells(line: str) -> list[str]:
    cells: Sequence[str] = next(csv.reader([_content(line).replace(";", ",").replace("\t", ",")]), [])
    return [cell.strip() for cell in cells]


def _header(line: str, path: Path) -> _Header | None:
    """Where the columns are, None if the first line is an address."""
    cells = [cell.lower() for cell in _cells(line)]
    if any(cell.startswith("0x") for cell in cells):
        return None
    wallet = next((cells.index(name) for name in WALLET_COLUMNS if name in cells), None)
    owner = next((cells.index(name) for name in OWNER_COLUMNS if name in cells), None)
    if wallet is None and owner is None:
        if len(cells) == 1:
            return None
        raise BadInputError(
            f"{path}: the header names no column with wallets.",
            hint="Call it wallet (signers: eoa), or give one address per line.",
        )
    return _Header(wallet, owner)


def _take(group: AddressLines, number: int, line: str, header: _Header | None) -> None:
    cells = _cells(line)
    if header is None:
        address = _address(cells[0], number, group)
        if address is not None:
            group.either.append(address)
        return
    wallet = _cell(cells, header.wallet, number, group)
    owner = _cell(cells, header.owner, number, group)
    if wallet is not None:
        group.either.append(wallet)
    if owner is not None:
        group.owners.append(owner)
    if wallet is not None and owner is not None and wallet != owner:
        group.pairs.append((owner, wallet))


def _cell(cells: list[str], place: int | None, number: int, group: AddressLines) -> bytes | None:
    if place is None:
        return None
    if place >= len(cells):
        group.bad.append((number, "the line has fewer columns than the header"))
        return None
    return _address(cells[place], number, group) if cells[place] else None


def _address(text: str, number: int, group: AddressLines) -> bytes | None:
    try:
        return parse_address(text)
    except BadInputError as error:
        group.bad.append((number, str(error)))
        return None
