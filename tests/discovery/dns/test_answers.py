"""What is read of a name server's answer, and which answers are none."""

from __future__ import annotations

import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from discovery.dns.answers import merge, read, targets_by_priority
from discovery.instance import MAX_WEIGHT, Instance

SOA = "lan. {} IN SOA ns.lan. hostmaster.lan. 1 3600 600 86400 {}"


def response(
    *answer: str,
    asked: str = "web.lan. IN A",
    rcode: str = "NOERROR",
    authority: str = "",
    more: str = "",
    flags: str = "QR RD RA",
):
    lines = ["id 1", "opcode QUERY", f"rcode {rcode}", f"flags {flags}", ";QUESTION", asked, ";ANSWER", *answer]
    lines += [";AUTHORITY", authority, ";ADDITIONAL", more]
    return dns.message.from_text("".join(f"{line}\n" for line in lines if line))


def addresses(message: dns.message.Message) -> list[str]:
    return [record.address for record in read(message).records]


def test_addresses_and_their_ttl():
    message = response("web.lan. 30 IN A 10.0.0.1", "web.lan. 30 IN A 10.0.0.2")
    assert addresses(message) == ["10.0.0.1", "10.0.0.2"]
    assert read(message).ttl == 30


def test_an_alias_is_followed_and_its_ttl_counts():
    message = response("web.lan. 7 IN CNAME w.lan.", "w.lan. 5 IN CNAME x.lan.", "x.lan. 30 IN A 10.0.0.1")
    assert addresses(message) == ["10.0.0.1"]
    assert read(message).ttl == 5


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
@pytest.mark.parametrize(("ttl", "minimum"), [(60, 7), (7, 60)])
def test_a_name_without_such_records_is_a_good_answer_for_as_long_as_its_zone_says(rcode: str, ttl: int, minimum: int):
    answer = read(response(rcode=rcode, authority=SOA.format(ttl, minimum)))
    assert (answer.records, answer.ttl) == ((), 7)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_without_the_zones_word_it_does_not_hold_for_long(rcode: str):
    answer = read(response(rcode=rcode))
    assert (answer.records, answer.ttl) == ((), 0)


def test_an_alias_of_a_name_that_does_not_exist():
    alias = "web.lan. 60 IN CNAME gone.lan."
    assert read(response(alias, authority=SOA.format(60, 9))).records == ()
    assert read(response(alias, rcode="NXDOMAIN")).records == ()
    assert read(response(alias)).records == ()  # Unbound leaves the SOA record out here


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
def test_a_failure_is_no_answer(rcode: str):
    with pytest.raises(ValueError, match=f"^{rcode}$"):
        read(response(rcode=rcode))


@pytest.mark.parametrize(
    "message",
    [
        response(authority="lan. 60 IN NS ns.lan."),
        response("web.lan. 60 IN CNAME web.elsewhere.", flags="QR AA RD"),
    ],
)
def test_a_reference_to_elsewhere_is_no_answer(message: dns.message.Message):
    with pytest.raises(ValueError, match="refers to elsewhere"):
        read(message)


def test_an_address_of_a_name_that_does_not_exist_is_no_answer():
    with pytest.raises(dns.exception.DNSException):
        read(response("web.lan. 5 IN A 10.0.0.1", rcode="NXDOMAIN"))


def test_aliases_in_a_circle_are_no_answer():
    with pytest.raises(dns.exception.DNSException):
        read(response("web.lan. 5 IN CNAME w.lan.", "w.lan. 5 IN CNAME web.lan."))


def test_addresses_that_came_along():
    message = response(
        "web.lan. 9 IN SRV 1 1 80 a.lan.",
        asked="web.lan. IN SRV",
        more="a.lan. 5 IN A 10.0.0.1\na.lan. 6 IN AAAA fd00::1\na.lan. 6 IN TXT no",
    )
    came = read(message).additional
    name = dns.name.from_text("a.lan")
    assert {kind.name: (answer.records[0].address, answer.ttl) for (_, kind), answer in came.items()} == {
        "A": ("10.0.0.1", 5),
        "AAAA": ("fd00::1", 6),
    }
    assert {owner for owner, _ in came} == {name}


def srv(*texts: str):
    return [dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.SRV, text) for text in texts]


def test_targets_come_in_the_order_of_their_priorities():
    groups = targets_by_priority(srv("20 1 80 c.lan.", "10 7 81 b.lan.", "10 5 80 a.lan."))
    assert [[(str(target), target.weight, target.priority) for target in group] for group in groups] == [
        [("a.lan:80", 5, 10), ("b.lan:81", 7, 10)],
        [("c.lan:80", 1, 20)],
    ]


def test_a_weight_of_nought_is_a_very_small_one():
    (group,) = targets_by_priority(srv("10 0 80 a.lan.", "10 99 80 b.lan."))
    assert [target.weight for target in group] == [1, 99]


def test_the_target_that_says_there_is_no_service_is_none():
    assert list(targets_by_priority(srv("0 0 0 ."))) == []


def test_two_names_of_one_machine_are_one_instance():
    one, two = Instance("a:1", "a", 1, 5, metadata={"target": "one"}), Instance("a:1", "a", 1, 7)
    other = Instance("0:1", "0", 1)
    assert merge([one, two, other]) == (other, Instance("a:1", "a", 1, 12, metadata={"target": "one"}))
    assert merge([Instance("a:1", "a", 1, MAX_WEIGHT)] * 2)[0].weight == MAX_WEIGHT
