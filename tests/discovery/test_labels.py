from __future__ import annotations

import pytest

from discovery.labels import Labels, read_labels


def test_the_labels_that_are_for_us():
    given = {
        "pointsman.weight": "3",
        "pointsman.zone": "eu-1",
        "pointsman.tags": "v2, canary,",
        "pointsman.draining": "true",
        "team": "shop",
    }
    assert read_labels(given) == Labels(3, "eu-1", ("v2", "canary"), True)
    assert read_labels({}) == Labels(1, "", (), False)


@pytest.mark.parametrize(
    ("label", "value", "complaint"),
    [
        ("weight", "65536", "pointsman.weight must be a whole number from 0 to 65535, not '65536'"),
        ("weight", "1.5", "pointsman.weight must be a whole number"),
        ("weight", "٣", "pointsman.weight must be a whole number"),
        ("zone", "a\nb", "pointsman.zone must be one printable line"),
        ("draining", "yes", "pointsman.draining must be true or false, not 'yes'"),
        ("wieght", "3", "unknown label 'pointsman.wieght'; there are pointsman.weight"),
    ],
)
def test_what_makes_no_sense(label: str, value: str, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        read_labels({f"pointsman.{label}": value})
