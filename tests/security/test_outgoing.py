"""Webhooks do not lead into one's own network (OWASP API7): forms of addresses, names that lead there, redirects."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from polyhouse.errors import ConfigError
from polyhouse.notify.notifier import Channels
from polyhouse.notify.outgoing import Outgoing, PrivateHostError, is_public
from polyhouse.notify.watch import Message

MESSAGE = Message("test", "", "a title", ("a fact",))

PRIVATE = [
    "127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f.1", "0x7f000001", "017700000001",
    "0177.0.0.1", "0", "0.0.0.0",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "169.254.169.254", "169.254.170.2", "0xa9fea9fe",
    "[::ffff:169.254.169.254]", "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "192.168.257", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "localhost", "LOCALHOST", "localhost.",
]  # fmt: skip


class Hook:
    """A server on this machine that counts its visitors, and sends them on where ``location`` says."""

    def __init__(self, location=""):
        self.visits = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.visits.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(302 if location else 200)
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - as the library calls it

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_port

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.close()


def test_there_are_forty_ways_to_write_a_private_host():
    assert len(PRIVATE) >= 40


@pytest.mark.parametrize("host", PRIVATE)
def test_no_way_to_write_a_private_host_leads_there(hook, host, monkeypatch):
    # Where this machine resolves a form at all, it must be refused; no packet leaves it either way.
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: connected.append(address))
    try:
        channels = Channels(f"json://{host}:{hook.port}/x")
    except ConfigError:
        return  # no service takes such a URL
    assert channels.send(MESSAGE) is False
    assert connected == []
    assert hook.visits == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "gopher://127.0.0.1:25/x", "ftp://127.0.0.1/x", "dict://127.0.0.1:11211/",
    "http://127.0.0.1/x",
     "https://169.254.169.254/latest/meta-data", "//127.0.0.1/x", "ldap://127.0.0.1/x"],
)  # fmt: skip
def test_other_schemes_are_no_service(url):
    with pytest.raises(ConfigError) as caught:
        Channels(url)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("host", ["user@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1#@example.com", "xn--localhost"])
def test_disguises_lead_nowhere(hook, host):
    with contextlib.suppress(ConfigError):
        assert Channels(f"json://{host}:{hook.port}/x").send(MESSAGE) is False
    assert hook.visits == []


def test_a_name_is_looked_up_once_and_what_it_led_to_is_what_is_reached(hook, monkeypatch):
    """A name that leads to the internet when it is checked and to this machine when it is connected to."""
    answers = iter([[("93.184.215.14", hook.port)], [("127.0.0.1", hook.port)], [("127.0.0.1", hook.port)]])
    asked, connected = [], []

    def resolve(host, *_args, **_options):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in next(answers)]

    def connect(_self, address):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    channels = Channels(f"json://moving.example:{hook.port}/x")
    assert channels.send(MESSAGE) is False
    assert connected == ["93.184.215.14"] * len(connected)
    assert connected
    assert channels.send(MESSAGE) is False  # now it leads to this machine
    assert set(connected) == {"93.184.215.14"}
    assert hook.visits == []


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(PrivateHostError):
        Outgoing().check("mixed.example", ["93.184.215.14", "10.0.0.1"])


def test_redirects_are_not_followed(hook):
    sender = Hook(location=f"http://127.0.0.1:{hook.port}/elsewhere")
    try:
        assert Channels(f"json://127.0.0.1:{sender.port}/x", "127.0.0.1").send(MESSAGE) is False
        assert sender.visits
        assert hook.visits == []
    finally:
        sender.close()


def test_named_hosts_of_ones_own_network_are_reached_and_others_are_not(hook):
    assert Channels(f"json://127.0.0.1:{hook.port}/x", "192.168.0.1 127.0.0.1").send(MESSAGE) is True
    assert Channels(f"json://localhost:{hook.port}/x", "localhost").send(MESSAGE) is True
    assert Channels(f"json://127.0.0.1:{hook.port}/x", "*").send(MESSAGE) is True
    assert Channels(f"json://127.0.0.1:{hook.port}/x", "192.168.0.1").send(MESSAGE) is False
    assert len(hook.visits) == 3
    # Only the thread that sends is watched.
    with socket.create_connection(("127.0.0.1", hook.port), timeout=5):
        pass


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "nonsense", "fe80::1%eth0", "10.0.0.1", "::ffff:10.0.0.1"])
def test_what_is_no_address_is_not(address):
    assert not is_public(address)
