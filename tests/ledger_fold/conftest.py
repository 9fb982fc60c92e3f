"""Ledger rows written by hand: short names for tokens, one block per event, micro-units as given."""

import itertools
from types import SimpleNamespace

import pytest

from polyhouse.ledger.fold import Kind, LedgerRow, Settlement

M = 1_000_000


def token(name):
    return name.encode().ljust(32, b"\0")


def row(place, name, kind, ds, du, *, amount=0, convert_cash=0, ts=None):
    """One row of block ``place``; its time is the block's unless given."""
    at = place if ts is None else ts
    event = f"e{place}".encode()
    return LedgerRow(token(name), at, place, 0, 1, int(kind), ds, du, 0, amount, convert_cash, event)


def conversion(place, market, questions, index_set, amount, fee_bips=0, ts=None):
    """The legs of one conversion as the ledger model writes them: one per question, collateral on the lowest NO."""
    burned = [q for q in range(questions) if index_set >> q & 1]
    out = amount - amount * fee_bips // 10_000
    cash = (len(burned) - 1) * out
    legs = []
    for q in range(questions):
        name, ds = (f"{market}{q}N", -amount) if q in burned else (f"{market}{q}Y", out)
        du = cash if burned and q == burned[0] else 0
        legs.append(row(place, name, Kind.CONVERT, ds, du, amount=amount, convert_cash=cash, ts=ts))
    return legs


def migration(place, source, target, shares, ts=None):
    return [row(place, source, Kind.MIGRATE, -shares, 0, ts=ts), row(place, target, Kind.MIGRATE, shares, 0, ts=ts)]


def story(*events):
    """Rows of successive events, each in a block of its own: (kind, token, shares, cash) or a ready function."""
    rows = []
    for place, event in zip(itertools.count(2, 2), events, strict=False):
        if callable(event):
            rows += event(place)
            continue
        kind, name, shares, *cash = event
        if kind is Kind.REDEEM:
            rows.append(row(place, name, kind, 0, cash[0], amount=shares))
            continue
        gives = kind in (Kind.SELL, Kind.MERGE, Kind.TRANSFER_OUT)
        money = cash[0] if cash else 0
        rows.append(row(place, name, kind, -shares if gives else shares, money if gives else -money))
    return rows


def resolved_after(events, numerator, denominator=1):
    """A resolution that happens after the first ``events`` events of a story."""
    place = 2 * events + 1
    return Settlement(numerator, denominator, place, place, 0, 1)


@pytest.fixture(scope="session")
def ledger():
    return SimpleNamespace(
        token=token, row=row, conversion=conversion, migration=migration, story=story, resolved_after=resolved_after
    )
