"""Where gunicorn listens: a host's name, IPv4 or IPv6 address in BIND_ADDRESS, and PORT."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address


def bind_address(variables: Mapping[str, str]) -> tuple[str, str]:
    """Return host and port. An IPv6 address may be set with or without brackets, and is returned without."""
    host = variables.get("BIND_ADDRESS", "").removeprefix("[").removesuffix("]")
    return host or "127.0.0.1", variables.get("PORT") or "8000"


def local_address(variables: Mapping[str, str]) -> tuple[str, str]:
    """Return host and port under which this machine reaches what listens on `bind_address`."""
    host, port = bind_address(variables)
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return host, port
    if address.is_unspecified:  # all addresses of the machine
        return "127.0.0.1" if address.version == 4 else "::1", port
    return host, port


def as_netloc(host: str, port: str) -> str:
    """Return `host:port`, as in a URL, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
