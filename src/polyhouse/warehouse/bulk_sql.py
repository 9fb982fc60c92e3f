"""The rules of orderFilled rows as SQL: what ``sources/files/orders.py`` says row by row, for a million rows at once.

``import_raw``  texts as the file has them   →   ``import_rows``  ids, integers and a reason, the natural key included
→   ``observations``. Reasons stand in the order in which the Python rules look.
"""

from __future__ import annotations

from collections.abc import Mapping

from polyhouse.domain import contracts
from polyhouse.domain.times import MIN_TIME

REASONS = (
    "", "header", "bad_maker", "bad_taker", "bad_tx", "no_collateral", "bad_token", "negative", "mixed_units",
    "bad_amount", "bad_time", "future_time", "bad_log_index", "bad_order_hash", "infrastructure", "bad_price",
    "bad_fee", "zero_fill",
)  # fmt: skip
"""Words of ``import_rows.reason`` by number. ``zero_fill`` is no mistake: a fill of nothing for nothing is ignored."""

OPTIONAL = ("order_hash", "id", "fee", "log_index")

ROWS_TABLE = """
CREATE TABLE {rows}
(
    line UInt64, reason UInt8, wallet FixedString(20), token FixedString(32), ts UInt32, tx FixedString(32),
    source LowCardinality(String), kind Enum8('BUY' = 1, 'SELL' = 2), shares Int64, cash Int64, shares_gross Int64,
    usdc_gross Int64, fee_net Int64, in_shares Bool, counterparty FixedString(20), taker_row Bool,
    order_hash FixedString(32), pos UInt32, row_key UInt64, content UInt64, log UInt64
)
ENGINE = Memory
"""

ROW_KEY = "sipHash64(CAST(kind, 'String'), '', shares, cash, toInt64(0), '', {ordinal})"
"""``observations.row_key`` of these rows, whose block, price and label are empty."""

_MOST_TOKEN = str(2**256 - 1)
_DIGITS = "(length({x}) > 0 AND {x} >= '0' AND {x} < ':' AND (length({x}) = 1 OR {x} >= '1'))"


def _hex_bad(text: str, size: int, *, checked: bool) -> str:
    """Whether a text is not 0x and ``size`` bytes of hex digits; ``checked``: the file has no other characters."""
    bad = f"(length({text}) != {2 + 2 * size} OR NOT startsWith({text}, '0x')"
    return bad + (")" if checked else f" OR NOT match({text}, '^0x[0-9a-fA-F]{{{2 * size}}}$'))")


def _amount_reason(number: str, text: str) -> str:
    plain = _DIGITS.format(x=text)
    return (
        f"multiIf({number} IS NOT NULL AND {plain} AND length({text}) <= 18, 0, startsWith({text}, '-'), 7,"
        f" position({text}, '.') > 0, 8, {plain} AND match({text}, '^[0-9]+$'), 8, 9)"
    )


def _plain(text: str) -> str:
    """Whether a text starts with one of the digits 1 to 9; what follows is left to the number parser."""
    return f"ascii({text}) BETWEEN 49 AND 57"


def _clean_options(column: Mapping[str, str], given: set[str]) -> str:
    """Cheap tests of the optional columns; a row that fails one is looked at closely."""
    tests = ["true"]
    if "fee" in given:
        fee = column["fee"]
        tests.append(f"({fee} IN ('', '0') OR (fee_ IS NOT NULL AND {_plain(fee)} AND length({fee}) <= 18))")
    if "log_index" in given:
        tests.append(f"pos_ IS NOT NULL AND {_plain(column['log_index'])} AND length({column['log_index']}) <= 9")
    if given & {"order_hash", "id"}:
        tests.append(f"NOT {_hex_bad('h_text', 32, checked=False)}")
    return " AND ".join(tests)


def _addresses(addresses: frozenset[bytes]) -> str:
    return "(" + ", ".join(f"toFixedString(unhex('{address.hex()}'), 20)" for address in sorted(addresses)) + ")"


def parse_sql(raw: str, layout: Mapping[str, str], names: Mapping[str, str], *, checked: bool) -> str:
    """SELECT of the columns of ``import_rows`` from the raw table.

    Args:
        raw: the raw table, one row a line, in the order of the lines.
        layout: our column → column of the raw table.
        names: our column → its name in the header, to know a second header by.
        checked: only characters of numbers and hex ids occur, and ``x`` only once a hex id: digits need no look.

    Parameters of the statement: ``first`` (line of the first row), ``limit`` (latest believable Unix second).
    """
    column = {field: layout.get(field, "''") for field in (*_REQUIRED, *OPTIONAL)}
    given = {field for field in OPTIONAL if field in layout}
    fee = f"if({column['fee']} = '', 0, toInt64OrNull({column['fee']}))" if "fee" in given else "toNullable(toInt64(0))"
    fee_reason = (
        f"if({column['fee']} = '', 0, {_amount_reason('fee_', column['fee'])})" if "fee" in given else "toUInt8(0)"
    )
    subgraph = f"match({column['id']}, '^0x[0-9a-fA-F]{{64}}_0x[0-9a-fA-F]{{64}}$')" if "id" in given else "toUInt8(0)"
    hash_text = (
        f"if({column['order_hash']} != '' OR NOT is_subgraph, {column['order_hash']}, substring({column['id']}, 68))"
    )
    order_hash = f"toFixedString(if(length(h_text) = 66, unhex(substring(h_text, 3)), ''), 32)"
    with_hash = bool(given & {"order_hash", "id"})
    log = f"if({column['log_index']} != '', {column['log_index']}, {column['id']})"
    return f"""
SELECT
    line, reason, wallet, token, ts, tx, if(is_subgraph, 'subgraph', 'dump') AS source, CAST(if(buys, 1, 2), 'Enum8(''BUY'' = 1, ''SELL'' = 2)') AS kind,
    shares_gross - if(in_shares, fee, 0) AS shares,
    multiIf(in_shares, usdc_gross, buys, usdc_gross + fee, usdc_gross - fee) AS cash,
    shares_gross, usdc_gross, fee, in_shares, if(taker_row, toFixedString('', 20), taker) AS counterparty, taker_row,
    order_hash, pos,
    {ROW_KEY.format(ordinal="toUInt16(0)")} AS row_key,
    cityHash64(wallet, token, ts, tx, is_subgraph, buys, shares, cash) AS content,
    {"if(log_text = %s, 0, sipHash64(content, log_text))" % "''" if given & {"log_index", "id"} else "0"} AS log
FROM
(
    SELECT
        if(given_line = 0, {{first:UInt64}} + rowNumberInAllBlocks(), given_line) AS line,
        {column["maker"]} = {_quoted(names["maker"])} AND {column["taker"]} = {_quoted(names["taker"])} AS is_header,
        toFixedString(unhex(substring({column["maker"]}, 3, 40)), 20) AS wallet,
        {_hex_bad(column["maker"], 20, checked=checked)} AS bad_maker,
        toFixedString(unhex(substring({column["taker"]}, 3, 40)), 20) AS taker,
        {_hex_bad(column["taker"], 20, checked=checked)} AS bad_taker,
        toFixedString(unhex(substring({column["tx"]}, 3, 64)), 32) AS tx,
        {_hex_bad(column["tx"], 32, checked=checked)} AS bad_tx,
        {column["maker_asset"]} = '0' AS buys,
        if(buys, {column["taker_asset"]}, {column["maker_asset"]}) AS token_text,
        toUInt256OrNull(token_text) AS token_number,
        reinterpretAsFixedString(byteSwap(ifNull(token_number, 0))) AS token,
        toInt64OrNull({column["maker_amount"]}) AS gave_,
        toInt64OrNull({column["taker_amount"]}) AS got_,
        ifNull(gave_, 0) AS gave, ifNull(got_, 0) AS got,
        if(buys, got, gave) AS shares_gross,
        if(buys, gave, got) AS usdc_gross,
        {fee} AS fee_, ifNull(fee_, 0) AS fee,
        toUInt64OrNull({column["ts"]}) AS ts_, ifNull(ts_, 0) AS ts,
        buys AND ts < {contracts.CLOB_V2_CUTOVER_TS} AS in_shares,
        taker IN {_addresses(contracts.EXCHANGES)} AS taker_row,
        {subgraph} AS is_subgraph,
        {hash_text if with_hash else "''"} AS h_text,
        {order_hash if with_hash else "toFixedString('', 32)"} AS order_hash,
        {log if given & {"log_index", "id"} else "''"} AS log_text,
        {f"toUInt32OrNull({column['log_index']})" if "log_index" in given else "toNullable(toUInt32(0))"} AS pos_,
        ifNull(pos_, 0) AS pos,
        wallet IN {_addresses(contracts.INFRA)} AS is_infra,
        shares_gross > 0 AND usdc_gross > 10000 AND usdc_gross * 10 > shares_gross * 11 AS bad_price,
        NOT (bad_maker OR bad_taker OR bad_tx OR is_infra OR bad_price OR fee > if(in_shares, shares_gross, usdc_gross))
            AND buys != ({column["taker_asset"]} = '0') AND token_number IS NOT NULL AND {_plain("token_text")}
            AND (length(token_text) < 78 OR (length(token_text) = 78 AND token_text <= '{_MOST_TOKEN}'))
            AND gave_ IS NOT NULL AND {_plain(column["maker_amount"])} AND length({column["maker_amount"]}) <= 18
            AND got_ IS NOT NULL AND {_plain(column["taker_amount"])} AND length({column["taker_amount"]}) <= 18
            AND ts_ IS NOT NULL AND {_plain(column["ts"])} AND length({column["ts"]}) <= 10 AND ts BETWEEN {MIN_TIME} AND {{limit:UInt32}}
            AND {_clean_options(column, given)} AS clean,
        -- Most rows are clean: only the others are asked for their reason.
        if(clean, 0, multiIf(
            is_header, 1, bad_maker, 2, bad_taker, 3, bad_tx, 4,
            buys = ({column["taker_asset"]} = '0'), 5,
            token_number IS NULL OR NOT {_DIGITS.format(x="token_text")} OR length(token_text) > 78
                OR (length(token_text) = 78 AND token_text > '{_MOST_TOKEN}'), 6,
            ({_amount_reason("gave_", column["maker_amount"])} AS gave_reason) > 0, gave_reason,
            ({_amount_reason("got_", column["taker_amount"])} AS got_reason) > 0, got_reason,
            ts_ IS NULL OR NOT {_DIGITS.format(x=column["ts"])} OR length({column["ts"]}) > 10 OR ts < {MIN_TIME}, 10,
            ts > {{limit:UInt32}}, 11,
            ({fee_reason} AS fee_reason) > 0, fee_reason,
            {f"{column['log_index']} != '' AND (pos_ IS NULL OR NOT {_DIGITS.format(x=column['log_index'])} OR length({column['log_index']}) > 10 OR toUInt64OrZero({column['log_index']}) > 4294967295)" if "log_index" in given else "false"}, 12,
            {f"h_text != '' AND {_hex_bad('h_text', 32, checked=False)}" if with_hash else "false"}, 13,
            is_infra, 14, bad_price, 15,
            fee > if(in_shares, shares_gross, usdc_gross), 16,
            shares_gross = 0 AND usdc_gross = 0, 17,
            0)) AS reason
    FROM {raw}
)
"""


_REQUIRED = ("maker", "maker_asset", "maker_amount", "taker", "taker_asset", "taker_amount", "ts", "tx")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
