"""The configuration of an Envoy that asks a gateway's picker: its routes, limits and backends."""

from __future__ import annotations

import ipaddress

from jinja2 import Environment, PackageLoader, StrictUndefined

from edge_marl.errors import ServingError
from edge_marl.serving.config import Config
from edge_marl.serving.proxy.picker import endpoints

__all__ = ["PORT", "envoy_config"]

PORT = 10000
"""That Envoy listens on."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def envoy_config(name: str, config: Config, picker: int, port: int = PORT) -> str:
    """Return the YAML that Envoy is to be started with.

    Args:
        name: of the gateway's file.
        config: of the gateway.
        picker: port that the gateway's picker listens on.
        port: that Envoy is to listen on, at the host of the gateway's.

    Raises:
        ServingError: a backend, or the gateway, has no address that Envoy could be told.
    """
    limits, host = config.limits, _ip_of(config.host)
    environment = Environment(
        loader=PackageLoader("edge_marl.serving"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    addresses = [found.rpartition(":") for found in endpoints(config)]
    return environment.get_template("envoy.yaml.j2").render(
        name=name,
        host=host,
        port=port,
        picker_host=LOOPBACK.get(host, host),  # that it reaches what listens everywhere by
        picker=picker,
        limits=limits,
        body_bytes=1024 * limits.body_kb,
        wait_s=max(1.0, limits.in_flight * limits.decide_s),
        backends=[(address.strip("[]"), port) for address, _, port in addresses],
    )


def _ip_of(host: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        raise ServingError(f"host = '{host}': Envoy listens at an IP address; state one") from None
