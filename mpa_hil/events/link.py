"""Events of the link and of access to it: signal, decisions, 802.11, EAP and AAA."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from .base import Event


class LinkSignal(Event, frozen=True, kw_only=True, tag="link.signal"):
    """A signal sample at the MN."""

    bssid: Annotated[str, Meta(description="access point heard")]
    frequency_mhz: Annotated[int, Meta(description="channel's centre frequency, MHz", ge=0)]
    signal_dbm: Annotated[float, Meta(description="received power, dBm")]
    noise_dbm: Annotated[float | None, Meta(description="noise floor, dBm; absent: unknown")] = None
    snr_db: Annotated[float | None, Meta(description="signal over noise, dB; absent: unknown")] = (
        None
    )


class TriggerFired(Event, frozen=True, kw_only=True, tag="trigger.fired"):
    """A rule decided that the MN must move."""

    rule: Annotated[str, Meta(description="the rule's name")]
    inputs: Annotated[
        dict[str, float | str | bool | None], Meta(description="what the rule looked at")
    ] = field(default_factory=dict)


class WpaEvent(Event, frozen=True, kw_only=True, tag="wpa.event"):
    """An unsolicited message of wpa_supplicant or hostapd."""

    name: Annotated[str, Meta(description="its name, such as CTRL-EVENT-CONNECTED")]
    text: Annotated[str, Meta(description="the rest of the message, as it came")] = ""


class EapMessage(Event, frozen=True, kw_only=True, tag="eap.message"):
    """An EAP message between MN and access point, as the capture of the air shows it."""

    direction: Annotated[
        Literal["request", "response", "success", "failure"], Meta(description="EAP code")
    ]
    count: Annotated[int, Meta(description="which one of this authentication, from 1", ge=1)]
    method: Annotated[str, Meta(description="EAP method, when known")] = ""


class AaaExchange(Event, frozen=True, kw_only=True, tag="aaa.exchange"):
    """One round trip to an AAA server, as the capture of a link of `host` shows it."""

    peer: Annotated[str, Meta(description="box that answered")]
    code: Annotated[str, Meta(description="RADIUS code of the answer")]
    round_trip_ms: Annotated[
        float, Meta(description="first sending of the request to answer, ms", ge=0)
    ]
    count: Annotated[int, Meta(description="which one of this authentication, from 1", ge=1)]
