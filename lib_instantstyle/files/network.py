"""Which machines a name stands for, and whether one of them is on the internet."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

from lib_instantstyle.files.deadline import Deadline

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_THROUGH_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address at its end


def addresses_of(host: str, port: int, deadline: Deadline) -> list[tuple[int, tuple[Any, ...]]]:
    """Family and address of each machine that `host` stands for, as a socket takes them.

    Raises OSError if it stands for none, or is not found in time.
    """
    found: list[tuple[int, tuple[Any, ...]]] = []
    errors: list[Exception] = []

    def look_up() -> None:
        try:
            for family, _, _, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
                found.append((family, address))
        except (OSError, ValueError) as error:  # UnicodeError for a name that cannot be one
            errors.append(error)

    # What looks names up has no timeout of its own.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive() or errors or not found:
        raise OSError(f"{host} is not found")
    return found


def is_public_address(address: str) -> bool:
    """Whether the IP address is one of the internet, in whatever disguise."""
    return all(
        each.is_global and not each.is_multicast
        for each in _meant(ipaddress.ip_address(address.split("%")[0]))
    )


def _meant(address: Address) -> Iterator[Address]:
    """`address` and those that IPv6 carries inside it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _THROUGH_NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
