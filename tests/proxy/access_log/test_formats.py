"""Each format, to the character; that no client can forge a line; and what is said of a template with faults."""

from __future__ import annotations

import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access_log.formats import FormatError, check_format, make_formatter
from proxy.access_log.placeholders import FIELDS
from proxy.access_log.record import Record
from proxy.access_log.redaction import Redaction
from proxy.access_log.values import rfc3339
from proxy.logs import JsonFormatter
from tests.proxy.access_log.records import ANY_RECORD, record, request

NOBODY = Record()  # the head could not be read
EVERYTHING = " ".join(f"{{{name}}}" for name in FIELDS) + ' "{request_header:User-Agent}" {request_header:Host}'


def line(format: str, of: Record, *redact: str) -> str:
    return make_formatter(format, Redaction(redact))(of).decode()


def test_json() -> None:
    assert line("json", record(reused=False, error="no route")) == (
        '{"time":"2027-01-15T08:00:00.250Z","client":"192.0.2.7","listener":"0.0.0.0:8080","method":"GET",'
        '"host":"shop.example.com","target":"/a?b=c","protocol":"HTTP/1.1","status":200,"service":"web",'
        '"endpoint":"consul/web-1","address":"10.0.0.1:9001","attempts":1,"reused":false,"received_bytes":0,'
        '"sent_bytes":1234,"first_byte_seconds":0.001250,"duration_seconds":0.002500,"own_seconds":0.000021,'
        '"downstream_end":"complete","upstream_end":"complete","request_id":"0190e3a1",'
        '"user_agent":"Mozilla/5.0 (X11)","error":"no route"}\n'
    )


def test_json_has_the_same_keys_in_any_case_but_for_the_error_the_user_and_tls() -> None:
    secured = {"tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_256_GCM_SHA384"}
    assert list(json.loads(line("json", record(error="x", user=b"ann", **secured)))) == list(FIELDS)
    of_nobody = json.loads(line("json", NOBODY))
    assert list(of_nobody) == [name for name in FIELDS if name not in ("user", "error", *secured)]
    assert of_nobody["first_byte_seconds"] is None
    assert {of_nobody[name] for name in ("method", "host", "target", "protocol", "user_agent", "client")} == {""}
    assert (of_nobody["status"], of_nobody["reused"], of_nobody["attempts"]) == (0, False, 0)


def test_json_keeps_every_byte_of_what_a_client_sent() -> None:
    every_byte = bytes(range(256))
    sent = record(request=request(target=every_byte, fields=[b"user-agent:\t" + every_byte + b"x "]))
    written = line("json", sent)
    assert written.isascii()
    assert re.fullmatch(r"[ -~]*\n", written)
    assert json.loads(written)["target"] == every_byte.decode("latin-1")
    assert json.loads(written)["user_agent"] == every_byte.decode("latin-1") + "x"


def test_clf() -> None:
    assert line("clf", record()) == '192.0.2.7 - - [15/Jan/2027:08:00:00 +0000] "GET /a?b=c HTTP/1.1" 200 1234\n'
    assert line("clf", NOBODY) == '- - - [01/Jan/1970:00:00:00 +0000] "-" - -\n'


def test_combined() -> None:
    assert line("combined", record(request=request(minor_version=0))) == (
        '192.0.2.7 - - [15/Jan/2027:08:00:00 +0000] "GET /a?b=c HTTP/1.0" 200 1234 '
        '"http://shop.example.com/" "Mozilla/5.0 (X11)"\n'
    )
    assert line("combined", NOBODY) == '- - - [01/Jan/1970:00:00:00 +0000] "-" - - "-" "-"\n'


def test_text_is_escaped_as_apache_does() -> None:
    sent = b'a"b\\c\b\n\r\t\v\x00\x1f\x7f\x80\xff'
    written = line("combined", record(request=request(fields=[b"Referer: x" + sent + b"y"])))
    assert written.endswith(r'"xa\"b\\c\b\n\r\t\v\x00\x1f\x7f\x80\xffy" "-"' + "\n")
    assert line("{endpoint}", record(endpoint="é\u2028")) == r"\xc3\xa9\xe2\x80\xa8" + "\n"


def test_a_template() -> None:
    template = "100% {{{method}}} {status}\t{first_byte_seconds} {request_header:ACCEPT} é {request_header:X} {host}"
    assert line(template, record()) == "100% {GET} 200\t0.001250 */* é - shop.example.com\n"
    assert line(template, NOBODY) == "100% {-} -\t- - é - -\n"


def test_a_template_may_have_every_field() -> None:
    written = line(EVERYTHING, record(error='say "no"', user=b"ann", request=request(fields=[b"User-Agent: a b"])))
    assert written == (
        "2027-01-15T08:00:00.250Z 192.0.2.7 0.0.0.0:8080 GET shop.example.com /a?b=c HTTP/1.1 200 web consul/web-1 "
        "10.0.0.1:9001 1 true 0 1234 0.001250 0.002500 0.000021 complete complete 0190e3a1 a b ann - - "
        r"say \"no\" "
        '"a b" shop.example.com\n'
    )


def test_of_a_header_that_came_twice_the_first_is_written() -> None:
    twice = record(request=request(fields=[b"X-A: 1", b"X: 2", b"x:3", b"X", b""]))
    assert line("{request_header:x}", twice) == "2\n"


@given(ANY_RECORD)
def test_a_line_is_one_line_whatever_a_client_sends(of: Record) -> None:
    for format in ("json", "clf", "combined", EVERYTHING):
        assert re.fullmatch(r"[ -~]+\n", line(format, of, "token"))


@given(ANY_RECORD)
def test_a_json_line_says_what_the_record_does(of: Record) -> None:
    written = json.loads(line("json", of))
    assert {type(value) for value in written.values()} <= {str, int, float, bool, type(None)}
    for name in ("client", "listener", "service", "endpoint", "address", "request_id", "status", "attempts", "reused"):
        assert written[name] == getattr(of, name)
    assert written.get("error", "") == of.error
    assert (written["downstream_end"], written["upstream_end"]) == (of.downstream_end, of.upstream_end)
    assert (written["received_bytes"], written["sent_bytes"]) == (of.received, of.sent)
    assert written["duration_seconds"] == pytest.approx(of.duration, abs=1e-6)
    if of.request is not None:
        assert written["target"].encode("latin-1") == of.request.target
        assert written["host"].encode("latin-1") == of.request.authority


@given(ANY_RECORD)
def test_the_quotes_of_a_combined_line_cannot_be_broken_out_of(of: Record) -> None:
    quoted = r'"(?:[^"\\]|\\[bnrtv"\\]|\\x[0-9a-f]{2})+"'
    start = re.escape(line("{client}", of).rstrip("\n"))
    assert re.fullmatch(rf"{start} - - \[[^]]+\] {quoted} [0-9-]+ [0-9-]+ {quoted} {quoted}\n", line("combined", of))


@given(st.floats(0, 4e9) | st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000))
def test_a_time_is_written_as_in_the_log(seconds: float) -> None:
    logged = logging.makeLogRecord({"created": seconds, "msg": ""})
    assert rfc3339(seconds) == json.loads(JsonFormatter().format(logged))["time"]


@pytest.mark.parametrize("format", ["json", "clf", "combined", EVERYTHING, "{{}}{status}", "{request_header:x_!~}"])
def test_good_formats(format: str) -> None:
    check_format(format)


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("jsn", "unknown format 'jsn'; did you mean 'json'?"),
        ("", "unknown format ''; write one of these, or a template with {field} in it: clf, combined, json"),
        ("status", "unknown format 'status'; write one of these, or a template"),
        ("{statos}", "unknown field 'statos'; did you mean 'status'? the fields are time, client, listener, "),
        ("{xxxxxxx}", "unknown field 'xxxxxxx'; the fields are time, client, listener, "),
        ("{}", "unknown field ''; the fields are time"),
        ("{status:>5}", "unknown field 'status:>5'; did you mean 'status'?"),
        ("{request_header}", "unknown field 'request_header'; did you mean 'request_header:NAME'?"),
        ("{request_header:}", "no name of a header in {request_header:}; write it as in {request_header:Accept"),
        ("{request_header:a b}", "no name of a header in {request_header:a b}"),
        ("{status} {", "unbalanced '{' at character 10 of the template; write '{{' for the character itself"),
        ("{status", "unbalanced '{' at character 1 of the template"),
        ("{{status}", "unbalanced '}' at character 9 of the template; write '}}'"),
        ("{status}}", "unbalanced '}' at character 9"),
        ("{sta{tus}", "unbalanced '{' at character 1"),
        ("{{}}", "no field in the template; the fields are time"),
        ("{status}\n", "a template must be one line of printable characters"),
        ("{status}\u2028", "a template must be one line"),
    ],
)
def test_what_is_wrong_with_a_format(format: str, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_format(format)
    assert str(caught.value).startswith(said)
    with pytest.raises(FormatError):
        make_formatter(format, Redaction([]))


def test_the_list_of_fields_names_all_of_them() -> None:
    with pytest.raises(FormatError) as caught:
        check_format("{x}")
    assert str(caught.value).endswith(f"the fields are {', '.join(FIELDS)}, request_header:NAME")
