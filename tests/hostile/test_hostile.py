"""A short `./dev hostile`; CI runs a longer one."""

import pytest

from .hostile import run


@pytest.mark.timeout(120)
def test_a_thousand_bad_clients_fail_no_good_request():
    found = run(seconds=6, clients=1_000)
    assert found["failed"] == 0, found["why"]
    assert found["requests"] > 2_500 and found["clients"] > 500
    assert found["peak"] <= found["bound"]
