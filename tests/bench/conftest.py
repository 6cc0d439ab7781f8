import shutil

import pytest

from bench.pace import compiled


@pytest.fixture(scope="session")
def pace_program():
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    return compiled(compiler)
