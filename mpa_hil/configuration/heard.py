"""What the configuration agent hears on the link, decoded once for all who may want it. Sans-IO."""

from __future__ import annotations

from mpa_hil.configuration.dhcp4 import message as dhcp4
from mpa_hil.configuration.frames import ArpReply, DecodeError, decode4

Heard = ArpReply | dhcp4.Message


def hear(frame: bytes) -> Heard:
    """What a frame says.

    Raises:
        mpa_hil.errors.DecodeError: nothing that concerns the agent.
    """
    said = decode4(frame)
    if isinstance(said, ArpReply):
        return said
    if (said.source_port, said.port) != (dhcp4.SERVER_PORT, dhcp4.CLIENT_PORT):
        raise DecodeError(f"UDP to port {said.port}")
    return dhcp4.decode(said.payload)
