"""Injection strings in every parameter of every route, and in the SQL that a user may write (OWASP API8, API3).

The suite gives each parameter some of them, others to each; ``POLYHOUSE_INJECTIONS=all`` gives all to all.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

import pytest
from inside_app import MASTER, TOKEN, running_inside
from markupsafe import escape

import polyhouse
from polyhouse.errors import BadInputError
from polyhouse.serve.pages.assets import Assets
from polyhouse.serve.pages.site import environment
from polyhouse.warehouse.guard import check_user_sql

PER_PARAMETER = 6
ADDRESS = "0x" + "00" * 19 + "ff"
PLACES = {"address": ADDRESS, "condition_id": "0x" + "11" * 32, "name": "realized", "id": "1", "plan": "full"}
PAGES = ("/", "/leaderboard", "/search", "/live", "/operations", "/specialists")
PAGE_PARAMETERS = ("q", "category", "window", "sort", "cursor", "min_units", "reverse", "x")

CORES = [
    "' OR 1=1 --", "'; DROP TABLE tokens; --", "\" OR \"\"=\"", "') UNION ALL SELECT file('/etc/hostname') --",
    "1; SELECT 2",
    "file('/etc/hostname')", "{x:String}", "{db:Identifier}", "%(x)s", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}",
    "{%raw%}", "#{7*7}",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)",
    "\"><svg/onload=alert(1)>", "\u202e<b>",
    "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd\0.csv", "|id", "`id`", "$(id)",
    "\r\nSet-Cookie: a=b", "\n\n<html>",
    "\0", "\u0000'", "\ufeff", "\u200b'", "\u2019 OR 1=1", "\\'; --", "\\", "''", "/*", "*/", "--", "# ",
    "$$x$$", "0x27", "CHAR(39)",
    "1e400", "NaN", "-1", "9" * 400, "2147483648", "18446744073709551616", "true", "null", "[]", "{}", "[[[[",
    "__proto__", "__class__",
    "constructor.prototype", "system.settings", "SETTINGS readonly=0", "INTO OUTFILE '/tmp/x'", "sleep(3)",
    "http://169.254.169.254/",
]  # fmt: skip
TWISTS = (
    lambda text: text,
    lambda text: f"omega{text}",
    lambda text: f"'{text}",
    lambda text: f"{text} --",
    lambda text: quote(text),
    lambda text: f"{text};{text}",
)
STRINGS = list(dict.fromkeys(twist(core) for twist, core in itertools.product(TWISTS, CORES)))
RAW = (b"\xff\xfe", b"\xc0\xaf..", b"\xed\xa0\x80", b"%", b"%zz", b"%u0027", b"+'", b"&x=1", b";x=1")


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    with running_inside(tmp_path_factory.mktemp("inside")) as app:
        yield app


def test_there_are_three_hundred_strings():
    assert len(STRINGS) + len(RAW) >= 300


def parameters(document):
    """(method, path, place, name) of every parameter that the document of the API names."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for one in operation.get("parameters", ()):
                if path != "/api/events":
                    yield method.upper(), path, one["in"], one["name"]
    for page, name in itertools.product(PAGES, PAGE_PARAMETERS):
        yield "GET", page, "query", name


def filled(path, changed=""):
    for name, value in PLACES.items():
        path = path.replace(f"{{{name}}}", changed if name == changed else value)
    return path


def asked(path, place, name, text):
    """Path and headers of a request with a string in one place."""
    if place == "path":
        before, _, after = path.partition(f"{{{name}}}")
        return filled(before) + text + filled(after), {}
    if place == "header":
        return filled(path), {name: text}
    return f"{filled(path)}?{name}={text}", {}


def test_no_string_in_any_parameter_is_more_than_a_string(inside):
    wanted = inside.ask("GET", "/openapi.json").document
    every = os.environ.get("POLYHOUSE_INJECTIONS") == "all"
    strings = [quote(text, safe="") for text in STRINGS] + [quote_from_bytes(one, safe="%&;+") for one in RAW]
    given = itertools.cycle(strings)
    hostname, count = socket.gethostname(), 0
    for method, path, place, name in parameters(wanted):
        some = strings if every else itertools.islice(given, PER_PARAMETER)
        for text in some:
            where, headers = asked(path, place, name, text)
            headers = {"X-API-Key": MASTER, "Accept": "text/html"} | headers
            reply = inside.ask(method, where, headers)
            assert reply.status in {200, 202, 303, 307, 401, 404, 405, 406, 413, 422}, (method, where, reply.body[:200])
            _judge(reply, hostname, where)
            count += 1
    assert count > 300
    assert inside.stores.warehouse.query("SELECT count() FROM tokens").rows == [(0,)]


def _judge(reply, hostname, where):
    text = reply.body.decode("utf-8", "replace")
    assert f"{hostname}\\n" not in text, where
    assert "root:x:0" not in text, where
    assert "set-cookie" not in reply.headers, where
    if "html" in reply.headers.get("content-type", ""):
        for dangerous in ("<script>alert", "<img src=x", "<svg/onload", 'href="javascript:'):
            assert dangerous not in text, where
        assert ">49<" not in text, where


def test_no_string_is_a_statement(inside):
    """SQL of users: whatever is put behind, before or into a statement, no file is read and nothing is changed."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    frames = ("{}", "SELECT {}", "SELECT '{}'", "SELECT * FROM tokens WHERE {}", "SELECT 1 {}", "SELECT `{}`")
    chosen = STRINGS if os.environ.get("POLYHOUSE_INJECTIONS") == "all" else STRINGS[:: len(STRINGS) // 30]
    for text, frame in itertools.product(chosen, frames):
        body = json.dumps(
            {"command": "sql", "arguments": {"statement": frame.format(text), "timeout_seconds": 2}}
        ).encode()
        reply = inside.ask("POST", "/internal/query", bearer, body, client="127.0.0.1")
        assert reply.status in {200, 422}, (frame.format(text), reply.body[:300])
        assert f"{socket.gethostname()}\\n" not in reply.body.decode()
    assert inside.stores.warehouse.query("SELECT count() FROM tokens").rows == [(0,)]


@pytest.mark.parametrize(
    "text", ["SELECT file('/etc/hostname')", "SELECT * FROM url('http://127.0.0.1/')", "SHOW SETTINGS"]
)
def test_all_strings_around_a_forbidden_statement_leave_it_forbidden(text):
    for one in STRINGS:
        for spoiled in (f"/* {one} */ {text}", f"{text} -- {one}"):
            try:
                check_user_sql(spoiled)
            except BadInputError:
                continue
            pytest.fail(f"passed: {spoiled}")


def test_templates_escape_and_mark_nothing_safe():
    """What a template prints is escaped; where one is told that a text is safe is written down here."""
    folder = Path(polyhouse.__file__).parent / "serve"
    safe = {
        path.name: path.read_text(encoding="utf-8").count("| safe") + path.read_text(encoding="utf-8").count("|safe")
        for path in sorted((folder / "templates").iterdir())
    }
    assert {name: count for name, count in safe.items() if count} == {}
    for path in (folder / "templates").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "autoescape false" not in text
        assert " onclick=" not in text
        assert " onload=" not in text


HOSTILE = [
    "</title><script>alert(1)</script>", "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}x{% endfor %}",
    "\u202egnp.exe\u202c", "x" * 10_000, "a\0b", "<!--", "]]>", "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
]  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_titles_are_shown_as_text(title):
    """By the environment of the real templates, the pages' own filters included."""
    made = environment(Assets())
    for source in ("{{ title }}", '<a href="/x" title="{{ title }}">{{ title }}</a>', "{{ title | upper }}"):
        shown = made.from_string(source).render(title=title).lower()
        assert "<script>" not in shown
        assert "<img" not in shown
        assert ">49<" not in shown
    assert made.from_string("{{ title }}").render(title=title) == str(escape(title))
