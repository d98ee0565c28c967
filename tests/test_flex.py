"""The Flex Web Service: two questions, patience, and a token that nobody sees."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from support.flex_service import (
    NOT_YET,
    PAGE,
    REFERENCE,
    REPORT,
    SUCCESS,
    TOKEN,
    FlexServer,
    Reply,
    answer,
    serving,
)
from tomic.config import FlexSettings
from tomic.errors import ConfigError, FlexError, FlexRefused, FlexUnavailable
from tomic.flex import FlexService, read_token
from tomic.masking import named_here


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def server():
    """A service that gives its report at once."""
    with serving() as own:
        yield own


@pytest.fixture
def clock():
    """Time that jumps."""
    return Clock()


def service(server: FlexServer, clock: Clock, **changes: object) -> FlexService:
    settings = FlexSettings(query=("123",), url=server.url, **changes)
    return FlexService(settings, TOKEN, sleep=clock.sleep, clock=lambda: clock.now)


async def test_two_questions_and_a_report(server, clock):
    """SendRequest by query, GetStatement by reference code, both of version 3 with a User-Agent."""
    text = await service(server, clock).report("123")

    assert text == REPORT
    (path, asked, agent), (then, by_code, _) = server.asked
    assert (path, asked) == ("/FlexWebService/SendRequest", {"t": TOKEN, "q": "123", "v": "3"})
    assert agent == f"Python/{sys.version_info[0]}.{sys.version_info[1]}"
    assert then == "/FlexWebService/GetStatement"
    assert by_code == {"t": TOKEN, "q": REFERENCE, "v": "3"}


async def test_a_report_that_takes_its_time(server, clock):
    """1019 is asked again after longer and longer waits, at most ten times a minute."""
    server.get = [NOT_YET] * 12 + [REPORT]

    assert await service(server, clock).report("123") == REPORT
    assert clock.waits[:5] == [5.0, 5.0, 8.0, 12.0, 20.0]
    assert len(server.asked) == 14


async def test_no_faster_than_allowed(server, clock):
    """No two requests within a second, no eleven within a minute, several queries together."""
    own = service(server, clock, first_wait_s=0.01)
    sent = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)

    own._sleep = sleep
    for query in map(str, range(12)):
        await own.report(query)
        sent.append(clock.now)

    assert len(server.asked) == 24
    assert sent[5] - sent[0] >= 60.0 - 1.05
    assert sent[-1] - sent[0] >= 120.0


async def test_too_many_requests(server, clock):
    """1018 is waited for longer than an answer that is under way."""
    server.send = [answer("Fail", 1018, "Too many requests"), SUCCESS]

    assert await service(server, clock).report("123") == REPORT
    assert clock.waits[0] == 30.0


@pytest.mark.parametrize("code", [1001, 1004, 1005, 1006, 1007, 1008, 1009, 1019, 1021])
async def test_what_can_be_asked_again(server, clock, code):
    """Codes that pass are asked again, whichever question they answer."""
    server.send = [answer("Fail", code, "later"), SUCCESS]
    server.get = [answer("Warn", code, "later"), REPORT]

    assert await service(server, clock).report("123") == REPORT
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (1003, "Performance & Reports > Flex Queries"),
        (1010, "of the old kind.* make it anew"),
        (1011, "not active for this user.* switch it on"),
        (1012, "the token has expired.* make a new token"),
        (1013, "not be used from this address.* IP restriction"),
        (1014, "no such query.* flex.query"),
        (1015, "the token is not valid.* make a new token"),
        (1016, "the account is not valid"),
        (1017, "reference code is not valid.* repeat the command"),
        (1020, "mistyped: check TOMIC_FLEX_TOKEN and flex.query"),
        (1999, "refused with 1999: something new"),
    ],
)
async def test_what_somebody_must_mend(server, clock, code, message):
    """Codes of token, account and query are told once, with what to do; nothing is asked again."""
    server.send = [answer("Fail", code, "something new")]

    with pytest.raises(FlexRefused, match=message) as caught:
        await service(server, clock).report("123")

    assert caught.value.error_code == code
    assert str(code) in str(caught.value)
    assert len(server.asked) == 1


async def test_a_report_that_never_comes(server, clock):
    """One deadline ends the questions; the last answer is named."""
    server.get = [NOT_YET]

    with pytest.raises(FlexUnavailable, match=r"no report within 300 s: .*1019.* repeat") as caught:
        await service(server, clock).report("123")

    assert caught.value.retryable
    assert clock.now <= 1300.0


async def test_a_page_instead_of_an_answer(server, clock):
    """A page of maintenance is asked again a few times; an answer after it counts."""
    server.get = [PAGE, REPORT]
    assert await service(server, clock).report("123") == REPORT

    server.get = [PAGE]
    with pytest.raises(FlexUnavailable, match="sends a page instead of an answer"):
        await service(server, clock).report("123")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(REPORT[:-400], cut=400),
        Reply(REPORT[:-60]),
        Reply('"BOF","U1","q"\n"BOS","TRNT","Trades"\n'),
        Reply("", 503),
        Reply("", 429),
        Reply(""),
        Reply(SUCCESS[:40]),
    ],
)
async def test_an_answer_that_is_not_whole(server, clock, reply):
    """What was cut off on its way is asked for again, and never taken for a report."""
    server.get = [reply, REPORT]

    assert await service(server, clock).report("123") == REPORT


async def test_a_service_that_fails_on_and_on(server, clock):
    """A few failures in a row are an error that can be tried again."""
    server.get = [Reply("", 503)]

    with pytest.raises(FlexUnavailable, match="the service answered 503; check the network"):
        await service(server, clock).report("123")

    assert len(server.asked) == 4


async def test_no_service_at_all(clock):
    """Nothing listens."""
    with serving() as gone:
        pass

    with pytest.raises(FlexUnavailable, match="cannot be used"):
        await service(gone, clock).report("123")


async def test_a_service_that_is_silent(server, clock):
    """An answer that does not come within its time is a failure, not a wait for ever."""
    server.send = [Reply(hangs=True)]

    with pytest.raises(FlexUnavailable, match=r"no whole answer within 0\.2 s"):
        await service(server, clock, request_timeout_s=0.2).report("123")


async def test_cancelling_leaves_nothing(server, clock):
    """A report that is given up leaves no task and no connection."""
    server.send = [Reply(hangs=True)]
    task = asyncio.create_task(service(server, clock).report("123"))
    await asyncio.to_thread(server.was_asked.wait)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [other for other in asyncio.all_tasks() if other is not asyncio.current_task()] == []


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_the_token_goes_to_no_other_host(server, clock, status):
    """A redirect elsewhere is refused, one on the same host is followed."""
    with serving() as other:
        server.send = [Reply("", status, {"Location": f"{other.url}/SendRequest?t={TOKEN}"})]
        with pytest.raises(FlexRefused, match=r"points to 127\.0\.0\.1, where the token is not"):
            await service(server, clock).report("123")
        assert other.asked == []
    moved = f"{server.url}/moved/SendRequest?t={TOKEN}&q=123&v=3"
    server.send = [Reply("", status, {"Location": moved}), SUCCESS]

    assert await service(server, clock).report("123") == REPORT


@pytest.mark.parametrize(
    "url",
    [
        "http://gdcdyn.interactivebrokers.com/x/GetStatement",
        "https://interactivebrokers.com.example/GetStatement",
        "https://gdcdyn.interactivebrokers.com@example.com/GetStatement",
        "https://gdcdyn.interactivebrokers.com/Universal/servlet/FlexStatementService.GetStatement",
        "https://gdcdyn.interactivebrokers.com:8443/GetStatement",
        "http://[bad/GetStatement",
        "",
    ],
)
async def test_addresses_of_the_service_itself(server, clock, url):
    """Where the answer points is asked only where it is IB's own, over https, and current."""
    server.send = [answer("Success", url=url)]

    assert await service(server, clock).report("123") == REPORT
    assert server.asked[1][0] == "/FlexWebService/GetStatement"


@pytest.mark.parametrize(
    "goal",
    ["javascript:alert(1)", "data:text/html,x", "http://[::1", "http://a:99999/", "//", "\t", "?"],
)
async def test_a_redirect_to_no_address(server, clock, goal):
    """What cannot even be asked ends as an answer that was of no use."""
    server.send = [Reply("", 302, {"Location": goal})] * 20

    with pytest.raises(FlexError):
        await service(server, clock).report("123")


async def test_an_address_that_may_be_followed(server, clock):
    """The same host under another path is where the report is asked for."""
    server.send = [answer("Success", url=f"{server.url}/v3/GetStatement")]

    await service(server, clock).report("123")

    assert server.asked[1][0] == "/FlexWebService/v3/GetStatement"


async def test_nobody_sees_the_token(server, clock, caplog):
    """Neither logs, at any level, nor messages, nor what is masked hold it."""
    server.send = [answer("Fail", 1099, f"odd token {TOKEN}")]
    with caplog.at_level(logging.DEBUG), pytest.raises(FlexError) as caught:
        await service(server, clock).report("123")
    server.send, server.get = [SUCCESS], [Reply("", 404)]
    with caplog.at_level(logging.DEBUG), pytest.raises(FlexError, match="answered 404") as other:
        await service(server, clock).report("123")

    shown = f"{caught.value}{caught.value!r}{other.value}"
    assert TOKEN not in shown
    assert TOKEN not in caplog.text
    assert named_here.text(f"?t={TOKEN}&q=1") == "?t=***&q=1"
    assert logging.getLogger("httpx").filters == []


# -- the token -----------------------------------------------------------------------------------


def token_file(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    file = folder / "token"
    file.write_text(f"{text}\n", encoding="ascii")
    file.chmod(mode)
    return file


def test_a_token_from_the_environment_or_a_file(tmp_path):
    """The variable wins; a file will do."""
    settings = FlexSettings(token_file=token_file(tmp_path))

    assert read_token(settings, {}) == TOKEN
    assert read_token(settings, {"TOMIC_FLEX_TOKEN": "abc1234567"}) == "abc1234567"


def test_no_token():
    """What to do is said."""
    with pytest.raises(ConfigError, match="put it into TOMIC_FLEX_TOKEN, or into a file"):
        read_token(FlexSettings(), {})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read(tmp_path, mode):
    """It is refused, with the command that mends it."""
    file = token_file(tmp_path, mode=mode)

    with pytest.raises(ConfigError, match="others may read the token; chmod 600"):
        read_token(FlexSettings(token_file=file), {})


@pytest.mark.parametrize("text", ["my secret!", "12", "t=1&q=2" * 5, "é" * 20])
def test_what_is_no_token(text):
    """Anything but letters and digits is refused, and not shown."""
    with pytest.raises(ConfigError, match="TOMIC_FLEX_TOKEN: this is no Flex token") as caught:
        read_token(FlexSettings(), {"TOMIC_FLEX_TOKEN": text})

    assert text not in str(caught.value)


def test_a_missing_file(tmp_path):
    """The file is named."""
    with pytest.raises(ConfigError, match=r"none: No such file"):
        read_token(FlexSettings(token_file=tmp_path / "none"), {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://ndcdyn.interactivebrokers.com/x"},
        {"url": "ftp://ndcdyn.interactivebrokers.com/x"},
        {"url": "ndcdyn"},
        {"query": ("my trades",)},
    ],
)
def test_settings_that_would_give_the_token_away(wrong):
    """No address without encryption but this computer's own; a query is a number."""
    with pytest.raises(ValidationError):
        FlexSettings(**wrong)
