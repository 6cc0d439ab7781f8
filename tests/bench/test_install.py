from bench.install import install_command


def test_programs_come_from_debians_packages():
    assert install_command(["nginx", "wrk"]) == [
        *["apt-get", "install", "-y", "-q", "--no-install-recommends"],
        *["nginx-light", "wrk"],
    ]
