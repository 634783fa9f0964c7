"""How an encoder was loaded, so that another process can load it again."""

from __future__ import annotations

from dataclasses import dataclass

from bandprobe.encoders.names import Reference
from bandprobe.protocol import Protocol


@dataclass(frozen=True)
class Origin:
    """What an encoder was loaded from, and all that was asked for but the device."""

    reference: Reference
    precision: str
    protocol: Protocol
    compiled: bool
    revision: str | None
