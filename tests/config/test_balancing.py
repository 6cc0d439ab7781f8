import pytest

from config.balancing import Override, SlowStart, Zones
from proxy.assemble.checks import CHECKS
from tests.config.reading import SMALL, errors_of, service_of


def test_what_may_be_written():
    service = service_of(
        """\
    slow_start: {}
    zones: {prefer: eu-1, min_instances: 2}
    subset: {header: X-Version, metadata: version}
    overrides: [{tags: [backup], priority: 1}, {metadata: {size: small}, share: 50%}, {address: 10.0.0.7, weight: 0}]
"""
    )
    assert service.slow_start == SlowStart(window=30.0, aggression=1.0, min_weight=0.1)
    assert service.zones == Zones(prefer="eu-1", overprovisioning=1.4, min_instances=2)
    assert service.subset is not None
    assert not service.subset.strict
    assert service.overrides[0] == Override(tags=("backup",), priority=1)
    assert [one.share for one in service.overrides] == [None, 0.5, None]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("slow_start: {window: 0s}", "slow_start.window: must be more than 0s"),
        ("slow_start: {aggression: 0}", "slow_start.aggression: must be at least 0.1, not 0"),
        ("sticky: {cookie: 'a b'}", "sticky.cookie: must be the name of a cookie such as session"),
        ("sticky: {path: 'a;b'}", "sticky.path: must begin with / and hold no spaces"),
        ("sticky: {domain: 'a b'}", "sticky.domain: must be a domain such as example.com"),
        ("sticky: {key: a, key_file: b}", "sticky: has both key and key_file: keep one of them"),
        (
            "sticky: {same_site: none}",
            "sticky: must have secure: true with same_site none",
        ),
        ("zones: {}", "zones.prefer: this key is required"),
        ("subset: {header: 'a b'}", "subset.header: must be the name of a header such as X-Api-Key"),
        ("overrides: [{weight: 1}]", "overrides[0]: must have one of id, address, zone, tags, metadata, which say"),
        ("overrides: [{zone: a}]", "overrides[0]: must have weight, share or priority"),
        ("overrides: [{zone: a, weight: 1, share: 1%}]", "overrides[0]: has both weight and share: keep one of them"),
        (
            "balancer: random\n    slow_start: {}",
            "balancer: random does not heed the weights that slow_start lets grow; take weighted_round_robin or",
        ),
        (
            "balancer: round_robin\n    overrides: [{zone: a, share: 50%}]",
            "balancer: round_robin does not heed the weights of overrides; take weighted_round_robin or",
        ),
    ],
)
def test_mistakes(text, error):
    errors = errors_of(SMALL + f"    {text}\n", checks=CHECKS)
    assert any(f"services.web.{error}" in one for one in errors), errors


def test_the_key_of_cookies_is_a_secret():
    service = service_of("    sticky: {key: hidden}\n")
    assert "hidden" not in repr(service)
