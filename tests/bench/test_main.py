import pytest
from click.testing import CliRunner

from bench.__main__ import main


def test_list_names_proxies_and_workloads():
    result = CliRunner().invoke(main, ["--list"])

    assert result.exit_code == 0
    assert {"pointsman", "nginx", "haproxy", "small", "1m"} <= set(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "nginx,apache"], "there is no 'apache'"),
        (["--workload", "huge"], "there is no 'huge'"),
        (["--only", "nginx", "--assert-ratio", "nginx=1.5"], "does not measure pointsman beside"),
        (["--assert-ratio", "apache=1.5"], "does not measure pointsman beside"),
        (["--assert-ratio", "nginx"], "write it as nginx=1.5"),
        (["--rounds", "0"], "not in the range"),
    ],
)
def test_wrong_usage_ends_with_status_2_before_anything_runs(arguments, complaint):
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert complaint in result.output
