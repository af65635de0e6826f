"""Who a client is, as far as places are shared out: its address."""

from __future__ import annotations

import ipaddress
from contextvars import ContextVar

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""The address that the request which is being answered comes from, as `address_of` has it."""

_NETWORK_BYTES = 8


def address_of(client: tuple[str, int] | None) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, as one customer gets.

    Args:
        client: host and port as the system gives them; None if it has none, as for a socket in the file system.

    >>> address_of(("::ffff:192.0.2.1", 80)), address_of(("2001:db8::1", 80)) == address_of(("2001:db8::2:1", 80))
    ('192.0.2.1', True)
    """
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or address.packed[:_NETWORK_BYTES].hex())
