"""An Excel workbook. Excel's numbers have 15 digits: an amount that needs more is written as text."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError
from polyhouse.export.staging import Parts
from polyhouse.export.text import readable

if TYPE_CHECKING:
    import xlsxwriter

MOST_ROWS = 1_048_575
"""Rows of a sheet below its header."""
_MOST_DIGITS = 15


def write_excel(parts: Parts, path: Path) -> None:
    """Write one sheet, a row at a time.

    Raises:
        ConfigError: more rows than a sheet has, or no library for it.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise ConfigError("xlsxwriter is not installed", hint="pip install 'polyhouse[export]'") from error
    if (rows := parts.rows()) > MOST_ROWS:
        raise ConfigError(f"{rows:,} rows do not fit on a sheet of Excel", hint="--format csv, or a --limit")
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        _fill(book, parts)


def _fill(book: xlsxwriter.Workbook, parts: Parts) -> None:
    sheet = book.add_worksheet(parts.facts["polyhouse.table"][:31])
    bold, moment = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for place, field in enumerate(parts.schema()):
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        sheet.write_string(0, place, f"{field.name} ({unit})" if unit else field.name, bold)
    sheet.freeze_panes(1, 0)
    line = 0
    for batch in parts.batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            line += 1
            for place, value in enumerate(row):
                _cell(sheet, line, place, value, moment)


def _cell(sheet: Any, line: int, place: int, value: Any, moment: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(line, place, value)
    elif isinstance(value, datetime):
        sheet.write_datetime(line, place, value.replace(tzinfo=None), moment)
    elif isinstance(value, int | float | Decimal) and _fits(value):
        sheet.write_number(line, place, value)
    else:
        plain = value.isoformat() if isinstance(value, date) else readable(value)
        sheet.write_string(line, place, format(plain, "f") if isinstance(plain, Decimal) else str(plain))


def _fits(value: float | Decimal) -> bool:
    if isinstance(value, float):
        return True
    return len(Decimal(value).normalize().as_tuple().digits) <= _MOST_DIGITS
