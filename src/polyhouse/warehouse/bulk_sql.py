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

ROWS_TABLE = """
CREATE TABLE {rows}
(
    line UInt64, reason UInt8, wallet FixedString(20), token FixedString(32), ts UInt32, tx FixedString(32),
    source LowCardinality(String), kind Enum8('BUY' = 1, 'SELL' = 2), shares Int64, cash Int64, shares_gross Int64,
    usdc_gross Int64, fee_net Int64, in_shares Bool, counterparty FixedString(20), taker_row Bool,
    order_hash FixedString(32), pos UInt32, content UInt64, log UInt64
)
ENGINE = Memory
"""

_REQUIRED = ("maker", "maker_asset", "maker_amount", "taker", "taker_asset", "taker_amount", "ts", "tx")
_OPTIONAL = ("order_hash", "id", "fee", "log_index")
_MOST_TOKEN = str(2**256 - 1)
_MOST_LOG_INDEX = 2**32 - 1
_NUMBER = "(length({x}) > 0 AND {x} >= '0' AND {x} < ':' AND (length({x}) = 1 OR {x} >= '1'))"
"""Whether a text begins like a number without sign and leading zeros; its other characters are the parser's."""


def parse_sql(raw: str, layout: Mapping[str, str], names: Mapping[str, str], *, checked: bool) -> str:
    """SELECT of the columns of ``import_rows`` from the raw table.

    Args:
        raw: the raw table, one row a line, in the order of the lines.
        layout: our column → column of the raw table.
        names: our column → its name in the header, to know a second header by.
        checked: only characters of numbers and hex ids occur, and ``x`` only once a hex id: digits need no look.

    Parameters of the statement: ``first`` (line of the first row), ``limit`` (latest believable Unix second).
    """
    rules = _Rules(layout, names, checked=checked)
    log = "if(log_text = '', 0, sipHash64(content, log_text))" if rules.tells_log else "0"
    return f"""
SELECT
    line, reason, wallet, token, ts, tx, if(is_subgraph, 'subgraph', 'dump') AS source,
    CAST(if(buys, 1, 2), 'Enum8(''BUY'' = 1, ''SELL'' = 2)') AS kind,
    shares_gross - if(in_shares, fee, 0) AS shares,
    multiIf(in_shares, usdc_gross, buys, usdc_gross + fee, usdc_gross - fee) AS cash,
    shares_gross, usdc_gross, fee, in_shares, if(taker_row, toFixedString('', 20), taker) AS counterparty, taker_row,
    order_hash, pos,
    cityHash64(wallet, token, ts, tx, is_subgraph, buys, shares, cash) AS content,
    {log} AS log
FROM
(
    SELECT
        if(given_line = 0, {{first:UInt64}} + rowNumberInAllBlocks(), given_line) AS line,
        {rules.ids()},
        {rules.amounts()},
        {rules.options()},
        {rules.clean()} AS clean,
        -- Most rows are clean: only the others are asked for their reason.
        if(clean, 0, {rules.reason()}) AS reason
    FROM {raw}
)
"""


class _Rules:
    """The expressions of one file's layout; a column that the file does not have is an empty text."""

    def __init__(self, layout: Mapping[str, str], names: Mapping[str, str], *, checked: bool) -> None:
        self._column = {field: layout.get(field, "''") for field in (*_REQUIRED, *_OPTIONAL)}
        self._given = frozenset(_OPTIONAL) & layout.keys()
        self._names = names
        self._checked = checked
        self.tells_log = bool(self._given & {"log_index", "id"})
        self._tells_order = bool(self._given & {"order_hash", "id"})

    def ids(self) -> str:
        """Wallet, taker, transaction, and the one asset that is a token."""
        column = self._column
        header = " AND ".join(f"{column[one]} = {_quoted(self._names[one])}" for one in ("maker", "taker"))
        ids = [f"{header} AS is_header"]
        for field, size, alias in (("maker", 20, "wallet"), ("taker", 20, "taker"), ("tx", 32, "tx")):
            text = column[field]
            ids.append(f"toFixedString(unhex(substring({text}, 3, {2 * size})), {size}) AS {alias}")
            ids.append(f"{_not_hex(text, size, checked=self._checked)} AS bad_{field}")
        return ",\n        ".join(
            [
                *ids,
                f"{column['maker_asset']} = '0' AS buys",
                f"if(buys, {column['taker_asset']}, {column['maker_asset']}) AS token_text",
                "toUInt256OrNull(token_text) AS token_number",
                "reinterpretAsFixedString(byteSwap(ifNull(token_number, 0))) AS token",
                f"taker IN {_addresses(contracts.EXCHANGES)} AS taker_row",
                f"wallet IN {_addresses(contracts.INFRA)} AS is_infra",
            ]
        )

    def amounts(self) -> str:
        """Amounts, fee and time; ``…_`` is null where the text is no number."""
        column = self._column
        fee = f"if({column['fee']} = '', 0, toInt64OrNull({column['fee']}))"
        return f"""toInt64OrNull({column["maker_amount"]}) AS gave_, ifNull(gave_, 0) AS gave,
        toInt64OrNull({column["taker_amount"]}) AS got_, ifNull(got_, 0) AS got,
        if(buys, got, gave) AS shares_gross,
        if(buys, gave, got) AS usdc_gross,
        {fee if "fee" in self._given else "toNullable(toInt64(0))"} AS fee_, ifNull(fee_, 0) AS fee,
        toUInt64OrNull({column["ts"]}) AS ts_, ifNull(ts_, 0) AS ts,
        buys AND ts < {contracts.CLOB_V2_CUTOVER_TS} AS in_shares,
        fee > if(in_shares, shares_gross, usdc_gross) AS bad_fee,
        shares_gross > 0 AND usdc_gross > 10000 AND usdc_gross * 10 > shares_gross * 11 AS bad_price"""

    def options(self) -> str:
        """Order hash, log index, source, and what tells one log from another."""
        column = self._column
        subgraph, order, bytes_, log, pos = "toUInt8(0)", "''", "toFixedString('', 32)", "''", "toNullable(toUInt32(0))"
        if "id" in self._given:
            subgraph = f"match({column['id']}, '^0x[0-9a-fA-F]{{64}}_0x[0-9a-fA-F]{{64}}$')"
        if self._tells_order:
            order = f"if({column['order_hash']} = '' AND is_subgraph, substring({column['id']}, 68), "
            order += f"{column['order_hash']})"
            bytes_ = "toFixedString(if(length(order_text) = 66, unhex(substring(order_text, 3)), ''), 32)"
        if self.tells_log:
            log = f"if({column['log_index']} != '', {column['log_index']}, {column['id']})"
        if "log_index" in self._given:
            pos = f"toUInt32OrNull({column['log_index']})"
        return f"""{subgraph} AS is_subgraph,
        {order} AS order_text,
        {bytes_} AS order_hash,
        {log} AS log_text,
        {pos} AS pos_, ifNull(pos_, 0) AS pos"""

    def clean(self) -> str:
        """Cheap tests that nearly every true row passes; no false row passes all of them."""
        column = self._column
        tests = [
            "NOT (bad_maker OR bad_taker OR bad_tx OR is_infra OR bad_price OR bad_fee)",
            f"buys != ({column['taker_asset']} = '0')",
            f"token_number IS NOT NULL AND {_digit_first('token_text')}",
            f"(length(token_text) < 78 OR (length(token_text) = 78 AND token_text <= '{_MOST_TOKEN}'))",
            f"ts_ IS NOT NULL AND {_digit_first(column['ts'])} AND length({column['ts']}) <= 10",
            f"ts BETWEEN {MIN_TIME} AND {{limit:UInt32}}",
        ]
        for number, field in (("gave_", "maker_amount"), ("got_", "taker_amount")):
            tests.append(f"{number} IS NOT NULL AND {_digit_first(column[field])} AND length({column[field]}) <= 18")
        if "fee" in self._given:
            fee = column["fee"]
            tests.append(f"({fee} IN ('', '0') OR (fee_ IS NOT NULL AND {_digit_first(fee)} AND length({fee}) <= 18))")
        if "log_index" in self._given:
            pos = column["log_index"]
            tests.append(f"pos_ IS NOT NULL AND {_digit_first(pos)} AND length({pos}) <= 9")
        if self._tells_order:
            tests.append(f"NOT {_not_hex('order_text', 32, checked=False)}")
        return "\n            AND ".join(tests)

    def reason(self) -> str:
        """Number of the first rule that a row breaks, 0 if it breaks none."""
        column = self._column
        token = f"token_number IS NULL OR NOT {_NUMBER.format(x='token_text')} OR length(token_text) > 78"
        token += f" OR (length(token_text) = 78 AND token_text > '{_MOST_TOKEN}')"
        time = f"ts_ IS NULL OR NOT {_NUMBER.format(x=column['ts'])} OR length({column['ts']}) > 10 OR ts < {MIN_TIME}"
        cases = [
            "is_header, 1, bad_maker, 2, bad_taker, 3, bad_tx, 4",
            f"buys = ({column['taker_asset']} = '0'), 5",
            f"{token}, 6",
            f"({_amount_reason('gave_', column['maker_amount'])} AS gave_reason) > 0, gave_reason",
            f"({_amount_reason('got_', column['taker_amount'])} AS got_reason) > 0, got_reason",
            f"{time}, 10",
            "ts > {limit:UInt32}, 11",
        ]
        if "fee" in self._given:
            fee = column["fee"]
            cases.append(f"(if({fee} = '', 0, {_amount_reason('fee_', fee)}) AS fee_reason) > 0, fee_reason")
        if "log_index" in self._given:
            pos = column["log_index"]
            cases.append(
                f"{pos} != '' AND (pos_ IS NULL OR NOT {_NUMBER.format(x=pos)} OR length({pos}) > 10"
                f" OR toUInt64OrZero({pos}) > {_MOST_LOG_INDEX}), 12"
            )
        if self._tells_order:
            cases.append(f"order_text != '' AND {_not_hex('order_text', 32, checked=False)}, 13")
        cases.append("is_infra, 14, bad_price, 15, bad_fee, 16, shares_gross = 0 AND usdc_gross = 0, 17")
        return "multiIf(\n            " + ",\n            ".join(cases) + ",\n            0)"


def _not_hex(text: str, size: int, *, checked: bool) -> str:
    """Whether a text is not 0x and ``size`` bytes of hex digits; ``checked``: the file has no other characters."""
    bad = f"length({text}) != {2 + 2 * size} OR NOT startsWith({text}, '0x')"
    return f"({bad})" if checked else f"({bad} OR NOT match({text}, '^0x[0-9a-fA-F]{{{2 * size}}}$'))"


def _amount_reason(number: str, text: str) -> str:
    """Number of the reason why a text is no amount, 0 if it is one."""
    plain = _NUMBER.format(x=text)
    return (
        f"multiIf({number} IS NOT NULL AND {plain} AND length({text}) <= 18, 0, startsWith({text}, '-'), 7,"
        f" position({text}, '.') > 0, 8, {plain} AND match({text}, '^[0-9]+$'), 8, 9)"
    )


def _digit_first(text: str) -> str:
    """Whether a text starts with one of the digits 1 to 9."""
    return f"ascii({text}) BETWEEN 49 AND 57"


def _addresses(addresses: frozenset[bytes]) -> str:
    return "(" + ", ".join(f"toFixedString(unhex('{address.hex()}'), 20)" for address in sorted(addresses)) + ")"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
