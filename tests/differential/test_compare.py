"""A short `./dev differential`; CI runs the long one."""

import pytest

from . import compare


@pytest.mark.timeout(300)
def test_with_redis_and_without():
    assert compare.compare(seed=7, commands=30_000) == 0


@pytest.mark.timeout(300)
def test_over_tls():
    assert compare.compare(seed=8, commands=15_000, tls=True) == 0


@pytest.mark.timeout(300)
def test_in_front_of_a_cluster():
    assert compare.compare_with_cluster(seed=9, commands=30_000) == 0


def test_a_difference_is_found_and_shown(capfd):
    """A stayd in front of another database than the reference's answers differently."""
    with compare.servers() as (make_redis, make_stayd, _):
        right, other = make_redis(), make_redis()
        stayd = make_stayd(other, compare.PATIENCE)
        right.call("SET", "leftover", "x")
        run = compare.subprocess.run(compare.command(right, stayd.port, 1, 5000, "--lanes", 1))
    assert run.returncode == 1
    shown = capfd.readouterr().out
    assert "the shortest script that does it" in shown and "leftover" in shown
