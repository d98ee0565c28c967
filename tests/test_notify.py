"""Messages to a server of this computer: taken, refused, never answered; no secret anywhere."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from support.message_server import SECRET, serving
from tomic import notify
from tomic.config.notify import NotifySettings
from tomic.errors import ConfigError
from tomic.masking import named_here
from tomic.notices import Message

MADE = Message("TOMIC: 1 alert", "vega -120, limit 100")
URLS = (
    f"ntfy://{SECRET}", f"tgram://123456789:{SECRET}abc_DEF/12315544/",
    f"mailto://user:{SECRET}@gmail.com",
)  # fmt: skip


@pytest.fixture
def server():
    """A service that takes whatever it is sent."""
    with serving() as own:
        yield own


def compose(room: int, has_title: bool) -> Message:
    return MADE


async def send(*urls: str, timeout_s: float = 30.0) -> tuple[notify.Delivery, ...]:
    return await (await notify.open_services(urls, timeout_s)).send(compose)


async def test_a_message_arrives(server):
    """Title and body, once; what may be shown of the service is its scheme."""
    assert await send(server.url) == (notify.Delivery("json"),)
    (message,) = server.messages
    assert (message["title"], message["message"]) == MADE


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_a_refusal_is_said(server, status):
    """Without the address."""
    server.status = status

    (delivery,) = await send(server.url)

    assert delivery.problem.startswith("not accepted")


async def test_nobody_listens():
    """A port that is closed is a refusal too, and stops no other service."""
    with socket.socket() as free, serving() as server:
        free.bind(("127.0.0.1", 0))
        closed = f"json://127.0.0.1:{free.getsockname()[1]}/{SECRET}"

        first, second = await send(closed, server.url)

        assert first.problem and not second.problem
        assert len(server.messages) == 1


async def test_a_server_that_hangs_is_left(server):
    """After its time; the message of the others has arrived meanwhile."""
    server.hangs = True
    with serving() as other:
        services = await notify.open_services((server.url, other.url), 0.05)
        sending = asyncio.ensure_future(services.send(compose))
        await asyncio.to_thread(server.was_asked.wait, 30.0)

        late, _ = await sending

    assert late == notify.Delivery("json", "no answer within 0.05 s")


async def test_cancelling_leaves_nothing_waiting(server):
    """Whoever stops waiting is let go at once."""
    server.hangs = True
    services = await notify.open_services((server.url,), 30.0)
    sending = asyncio.ensure_future(services.send(compose))
    await asyncio.to_thread(server.was_asked.wait, 30.0)

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_what_a_service_raises_holds_no_address(server):
    """Only the kind of what went wrong is told."""

    def broken(room: int, has_title: bool) -> Message:
        raise RuntimeError(server.url)

    services = await notify.open_services((server.url,), 30.0)

    assert await services.send(broken) == (notify.Delivery("json", "unexpected RuntimeError"),)


async def test_no_log_holds_a_secret(server, caplog, capfd):
    """At every level, also where whoever sends says all it knows, and where it fails."""
    caplog.set_level(1)
    for name in ("apprise", "urllib3", "urllib3.connectionpool", "requests"):
        logging.getLogger(name).setLevel(1)

    await send(server.url)
    server.status = 500
    await send(server.url)
    with pytest.raises(ConfigError) as caught:
        await send(f"bogus://{SECRET}")

    shown = caplog.text + "".join(capfd.readouterr()) + str(caught.value) + repr(caught.value)
    assert SECRET not in shown
    assert str(server.port) not in caplog.text
    assert "address 1 of 1 to notify (bogus) is not understood" in shown
    assert caught.value.__cause__ is None


def test_addresses_from_the_environment():
    """Several, by blanks, lines or commas; the first name wins, the other is read too."""
    text = f"{URLS[0]}, {URLS[1]}\n{URLS[2]}"

    assert notify.read_urls(NotifySettings(), {"TOMIC_NOTIFY_URLS": text}) == URLS
    assert notify.read_urls(NotifySettings(), {"TOMIC_NOTIFY__URLS": URLS[0]}) == URLS[:1]
    for url in URLS:
        assert SECRET not in named_here.text(f"what was seen of {url} and {SECRET}")


def test_addresses_from_a_private_file(tmp_path):
    """One a line, with remarks; refused where others may read it."""
    file = tmp_path / "urls"
    file.write_text(f"# phone\n{URLS[0]}\n\n{URLS[1]}\n")
    file.chmod(0o600)
    settings = NotifySettings(urls_file=file)

    assert notify.read_urls(settings, {}) == URLS[:2]
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read the addresses; chmod 600") as caught:
        notify.read_urls(settings, {})
    assert SECRET not in str(caught.value)


def test_what_is_no_address():
    """Nothing of it is repeated; without any, what to do is said."""
    with pytest.raises(ConfigError, match="address 2 of 2 has no scheme") as caught:
        notify.read_urls(NotifySettings(), {"TOMIC_NOTIFY_URLS": f"{URLS[0]} {SECRET}"})
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="no address to notify; put one into TOMIC_NOTIFY_URLS"):
        notify.read_urls(NotifySettings(), {})


def test_no_part_of_an_address_is_a_word():
    """Hosts and short parts are not hidden, which would garble every text."""
    notify.read_urls(
        NotifySettings(),
        {"TOMIC_NOTIFY_URLS": "jsons://localhost:8000/tomic mailto://a:b@gmail.com"},
    )

    assert named_here.text("tomic at localhost, gmail.com") == "tomic at localhost, gmail.com"
