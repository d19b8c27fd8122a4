"""The address that gunicorn listens on: BIND_ADDRESS (a host name, IPv4 or IPv6 address) and PORT."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address


def bind_address(variables: Mapping[str, str]) -> tuple[str, str]:
    """Return host and port. An IPv6 address may be set with or without brackets; it is returned without."""
    host = variables.get("BIND_ADDRESS", "").removeprefix("[").removesuffix("]")
    return host or "127.0.0.1", variables.get("PORT") or "8000"


def local_address(variables: Mapping[str, str]) -> tuple[str, str]:
    """Return the host and port at which this machine can reach a server that listens on `bind_address`."""
    host, port = bind_address(variables)
    try:
        address = ip_address(host)
    except ValueError:  # a host name
        return host, port
    if address.is_unspecified:  # listens on all addresses of the machine
        return "127.0.0.1" if address.version == 4 else "::1", port
    return host, port


def as_netloc(host: str, port: str) -> str:
    """Return `host:port` as it appears in a URL, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
