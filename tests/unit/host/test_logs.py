"""Log lines: JSON, with the ids of what was worked on, and without anything secret."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest

from aiops_host.watch.logs import HIDDEN, JsonFormatter, bound, configure, scrub


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own that writes JSON lines."""
    logger, written = logging.getLogger("test.logs"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


def last(written: io.StringIO) -> dict[str, Any]:
    """Return the last line."""
    line: dict[str, Any] = json.loads(written.getvalue().splitlines()[-1])
    return line


def test_a_line_is_json_with_time_level_and_logger(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """Each line is one JSON object, whatever the message holds."""
    logger, written = lines
    logger.warning('it said "%s"', "a\nb\ud800")
    line = last(written)
    assert line["level"] == "WARNING"
    assert line["logger"] == "test.logs"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert line["message"].startswith('it said "a\nb')
    assert len(written.getvalue().splitlines()) == 1


def test_bound_ids_stand_in_every_line_of_the_block(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """Tenant, delivery and trace are named inside the block, nested ones added, and gone after it."""
    logger, written = lines
    with bound(tenant_id="t"):
        with bound(delivery_id="d", trace_id=None):
            logger.info("inside")
            assert {k: last(written).get(k) for k in ("tenant_id", "delivery_id", "trace_id")} == {
                "tenant_id": "t",
                "delivery_id": "d",
                "trace_id": None,
            }
        logger.info("outer")
        assert "delivery_id" not in last(written)
    logger.info("outside")
    assert "tenant_id" not in last(written)


def test_only_ids_can_be_bound() -> None:
    """A field that is not an id, such as a body, cannot be put into every line."""
    with (
        pytest.raises(TypeError, match="only delivery_id, tenant_id, trace_id can be bound, not a, body"),
        bound(body="x", a="y", tenant_id="t"),
    ):
        pass
    with bound(tenant_id="t", delivery_id="d", trace_id="t"):
        pass


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("header Zoho-oauthtoken 1000.abc.def", "1000.abc.def"),
        ('{"api_key": "k-123456"}', "k-123456"),
        ("?token=abcdefgh&x=1", "abcdefgh"),
        ("password: hunter22", "hunter22"),
        ("authtoken=ABCD-EFGH", "ABCD-EFGH"),
        ("key sk-proj-abcdefgh12345", "sk-proj-abcdefgh12345"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("postgresql://aiops_app:s3cr3t@db/aiops", "s3cr3t"),
        ("redis://:s3cr3t@cache:6379/0", "s3cr3t"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJhbGciOiJIUzI1NiJ9"),
        ("eyJ01234567.89abcdef.", "89abcdef"),
        ("BEARER abc123", "abc123"),
        ("TOKEN=abcd", "abcd"),
        ("secret='abcd'", "abcd"),
        ('"secret":"abcd"', "abcd"),
        ("passwd = abcd", "abcd"),
        ("authorization: abcd", "abcd"),
        ("cookie=abcd;", "abcd"),
        ("apikey=abcd", "abcd"),
        ("api-key=abcd", "abcd"),
        ("technician_key=abcd", "abcd"),
        ("TechnicianKey: abcd", "abcd"),
        ("sk-01234567", "01234567"),
        ("pk_01234567", "01234567"),
        ("rk_01234567", "01234567"),
        ("xoxb-01234567", "01234567"),
        ("ghp_01234567", "01234567"),
        ("HTTPS://me:pw@host/x", "pw"),
    ],
)
@pytest.mark.attack(22)
def test_what_looks_like_a_credential_is_hidden(text: str, secret: str) -> None:
    """Bearer and basic values, keys, tokens, passwords and passwords in addresses do not reach a log."""
    assert secret not in scrub(text)
    assert HIDDEN in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "worker host-1 claims delivery 5f0c",
        "the token bucket is empty",
        "connected to https://aiops.example/api/v1",
        "secret rotation is due",
        "the pallbearer arrives",
        "task-scheduler and risk-assessment",
        "a bearer came, basic needs",
        "token=abc",
        "sk-0123456",
        "eyJ0123456.89abcdef.x and eyJ01234567.89abcde.x",
        "keyJ01234567.89abcdef.x",
    ],
)
def test_plain_words_stay(text: str) -> None:
    """A sentence that only speaks of secrets is left as it is."""
    assert scrub(text) == text


def test_what_is_no_credential_stays_beside_one() -> None:
    """Only the value is hidden: what it is, its place in an address and the words around it can be read."""
    for text, shown in (
        ("send Bearer abcdef123456 now", "send Bearer [hidden] now"),
        ("?token=abcdefgh&x=1", "?token=[hidden]&x=1"),
        ("to postgresql://aiops_app:s3cr3t@db/aiops", "to postgresql://aiops_app:[hidden]@db/aiops"),
        ("key sk-proj-abcdefgh12345, used", "key [hidden], used"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!", "jwt [hidden]!"),
    ):
        assert scrub(text) == shown


def test_a_message_is_bounded(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """Of a long message, and of a long error, 4,000 characters are written; what UTF-8 cannot carry is marked."""
    logger, written = lines
    logger.error("%s", "x" * 5000, exc_info=ValueError("y" * 5000))
    assert last(written)["message"] == "x" * 4000
    assert last(written)["error"]["message"] == "y" * 4000
    logger.error("a\ud800")
    assert last(written)["message"] == "a?"


def test_an_error_is_shown_where_there_is_one(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """An error that was never raised has no frames; a line that asks for one where there is none is written without."""
    logger, written = lines
    logger.error("it failed", exc_info=ValueError("why"))
    assert last(written)["error"] == {"type": "ValueError", "message": "why", "frames": []}
    logger.error("it failed", exc_info=True)
    assert "error" not in last(written)


def test_the_last_twelve_frames_are_shown(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """Of a deep error the frames nearest to it are shown, and a library's by its name rather than its folder."""
    logger, written = lines

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        phonenumbers.parse("no number")

    try:
        deep(20)
    except phonenumbers.NumberParseException:
        logger.exception("it failed")
    frames = last(written)["error"]["frames"]
    assert [frame.partition(":")[2].partition(" ")[2] for frame in frames] == ["deep"] * 11 + ["parse"]
    assert re.fullmatch(r"phonenumbers/phonenumberutil\.py:\d+ parse", frames[-1])


def test_an_error_shows_its_place_and_no_values(lines: tuple[logging.Logger, io.StringIO]) -> None:
    """An error's line has type, scrubbed message and frames, and no value of any variable."""
    logger, written = lines
    hidden = "Bearer abcdef123456"
    try:
        raise ValueError(hidden)
    except ValueError:
        logger.exception("it failed")
    error = last(written)["error"]
    assert error["type"] == "ValueError"
    assert any("test_logs.py" in frame for frame in error["frames"])
    assert "abcdef123456" not in written.getvalue()


@pytest.mark.parametrize(
    ("name", "level", "written"),
    [
        ("aiops_host.work", logging.DEBUG, True),
        ("aiops.plugin.jira", logging.DEBUG, True),
        ("aiops_zendesk.client", logging.DEBUG, True),
        ("openai._base_client", logging.DEBUG, False),
        ("LiteLLM", logging.INFO, False),
        ("some.library", logging.INFO, False),
        ("some.library", logging.WARNING, True),
    ],
)
def test_details_are_ours_only(capsys: pytest.CaptureFixture[str], name: str, level: int, written: bool) -> None:
    """At DEBUG we and plugins say more; libraries do not, whose details may be whole requests."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        configure("DEBUG")
        logging.getLogger(name).log(level, "the whole request")
    finally:
        root.handlers[:], root.level = before
    assert ("the whole request" in capsys.readouterr().err) is written


def test_configuring_quiets_access_logs_and_libraries() -> None:
    """One handler remains, access logs are off, and the level is the operator's."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    before = (root.handlers[:], root.level, access.disabled)
    try:
        configure()
        assert root.level == logging.INFO
        configure("warning")
        assert [type(h.formatter) for h in root.handlers] == [JsonFormatter]
        assert root.level == logging.WARNING
        assert access.disabled
    finally:
        root.handlers[:], root.level, access.disabled = before
