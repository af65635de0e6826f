"""Places shared out among addresses: who may have one, and who gives way."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra web")

from regiontalk.web.limits import BusyError, Gate, Upload, Uploads, address_of


def filled(gate: Gate, address: str, now: float = 0.0) -> int:
    """How many places an address gets."""
    taken = 0
    while gate.take(address, now):
        taken += 1
    return taken


def test_alone_an_address_may_have_all() -> None:
    gate = Gate(8, 0.5)
    assert filled(gate, "a") == gate.inside == 8


def test_beside_another_it_may_have_half() -> None:
    gate = Gate(8, 0.5)
    assert gate.take("b", 0.0)
    assert (filled(gate, "a"), gate.inside) == (4, 5)
    assert filled(gate, "b") == 3  # and has four now
    assert not gate.take("c", 0.0)


def test_who_was_refused_gets_the_next_place() -> None:
    """One address holds all. Once another was refused, what it gives up goes to that one."""
    gate = Gate(4, 0.5)
    assert filled(gate, "a") == 4
    assert not gate.take("b", 1.0)
    gate.leave("a")
    assert not gate.take("a", 2.0)
    assert gate.take("b", 3.0)
    gate.leave("a")
    gate.leave("b")
    assert not gate.take("a", 4.0)  # it holds its share, and b may come again
    assert gate.take("a", 60.0)  # it has not


def test_many_that_were_refused_are_forgotten() -> None:
    gate = Gate(1, 1.0)
    assert gate.take("a", 0.0)
    assert not any(gate.take(f"other {number}", 0.0) for number in range(1000))
    assert len(gate._refused) <= 2


def test_behind_a_proxy_there_is_no_share() -> None:
    gate = Gate(8, 1.0)
    assert gate.take("b", 0.0)
    assert filled(gate, "a") == 7


def test_an_address_with_too_many_uploads_gives_way_at_once() -> None:
    given: list[str] = []
    uploads = Uploads(4, 0.5)
    for number in range(4):
        uploads.enter(Upload(lambda each=f"a{number}": given.append(each), 0.0, 100 + number, "a"))  # type: ignore[misc]
    with pytest.raises(BusyError):
        uploads.enter(Upload(lambda: None, 0.1, 0, "a"))  # none of its own is slow yet
    uploads.enter(Upload(lambda: given.append("b"), 0.1, 0, "b"))
    uploads.enter(Upload(lambda: given.append("b"), 0.1, 0, "b"))
    assert given == ["a0", "a1"]
    with pytest.raises(BusyError):
        uploads.enter(Upload(lambda: None, 0.1, 0, "c"))  # each holds its share, and none is slow


def test_an_address_with_its_share_of_uploads_makes_only_its_own_give_way() -> None:
    given: list[str] = []
    uploads = Uploads(3, 0.5)
    uploads.enter(Upload(lambda: given.append("b"), 0.0, 1, "b"))
    uploads.enter(Upload(lambda: given.append("c"), 0.0, 1, "c"))
    uploads.enter(Upload(lambda: given.append("a"), 0.0, 5000, "a"))
    uploads.enter(Upload(lambda: None, 10.0, 0, "a"))  # b and c are slower, but a has its share
    assert given == ["a"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("127.0.0.1", "::1", False),
        ("testclient", "testclient", True),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (address_of((one, 1)) == address_of((other, 2))) == same


def test_a_client_without_an_address() -> None:
    assert address_of(None) == ""
