"""What a ladder diagram shows: its columns, phases, messages and notes, as tables.

A new kind of event or phase shows once it has a row here; one without a row is passed over (a phase
is then drawn with its own name). Texts are format strings over the event's fields.

Source of the shape: RFC 6252 section 6.3, figures 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COLUMNS = (
    "MN",
    "oPoA",
    "oAR",
    "nPoA",
    "AA",
    "CA",
    "AR",
    "AAAV",
    "AAAH",
    "HA",
    "CN",
)
"""From left to right, as far as a diagram needs them."""
ALWAYS = ("MN", "oPoA", "nPoA", "CN")
CANDIDATE = ("nPoA", "AA", "CA", "AR", "AAAV")
"""Columns of the candidate target network."""

COLUMN_NAMES: Mapping[str, str] = {
    "MN": "mobile node",
    "oPoA": "old point of attachment",
    "nPoA": "new point of attachment",
    "oAR": "old access router",
    "AA": "authentication agent",
    "CA": "configuration agent",
    "AR": "next access router",
    "AAAV": "visited AAA server",
    "AAAH": "home AAA server",
    "HA": "home agent",
    "CN": "correspondent node",
}

AGENTS: Mapping[str, str] = {"authentication_agent": "AA", "configuration_agent": "CA"}
"""Agents on the next access router that have columns of their own."""

BSSID = "its access point"
"""The column of the access point whose BSSID the event names."""
HERE = "where it happened"


@dataclass(frozen=True, slots=True)
class PhaseStyle:
    """How a phase is called and drawn."""

    label: str
    colour: str
    """Name of a CSS variable, without its dashes."""
    step: int = 0
    """Step of RFC 6252 s6.3 that it belongs to, in a handover that was prepared; 0: none."""


PHASES: Mapping[str, PhaseStyle] = {
    "pre-authentication": PhaseStyle("pre-authentication", "violet", 1),
    "key-installation": PhaseStyle("key installation", "lilac", 1),
    "pre-configuration": PhaseStyle("pre-configuration", "indigo", 2),
    "tunnel-setup": PhaseStyle("tunnel set up", "blue", 2),
    "staging": PhaseStyle("staging", "sky", 2),
    "binding-update": PhaseStyle("binding update", "teal", 3),
    "decision": PhaseStyle("decision", "grey", 4),
    "pre-switching": PhaseStyle("pre-switching", "pink", 4),
    "scan": PhaseStyle("scan", "yellow", 5),
    "authentication": PhaseStyle("authentication", "orange", 5),
    "association": PhaseStyle("association", "amber", 5),
    "eap": PhaseStyle("EAP", "red", 5),
    "four-way": PhaseStyle("4-way handshake", "brown", 5),
    "arrival": PhaseStyle("arrival", "olive", 6),
    "acquisition": PhaseStyle("acquisition", "green", 6),
    "dhcp": PhaseStyle("DHCP", "green", 6),
    "first-packet": PhaseStyle("first packet", "slate", 6),
    "post-switching": PhaseStyle("post-switching", "sand", 6),
    "return": PhaseStyle("return", "red"),
    "restoration": PhaseStyle("restoration", "brown"),
    "clearing": PhaseStyle("clearing", "grey"),
    "seeking": PhaseStyle("seeking", "red"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """An event that stands for a message, or for an exchange of several.

    Attributes:
        type: of the event.
        text: the arrow's label.
        source: column that it goes from, `HERE` or `BSSID`.
        target: column that it goes to, likewise.
        when: fields that must have these values, as text.
        both: an exchange: the arrow has two heads.
        arrives: event types of which the next tells when it arrived; else it is drawn level.
        left: event types of which the last one before tells when it was sent.
        lasted_ns, lasted_ms: the field that says how long before the event it began.
        unless: not drawn where the run has an event of this type, which tells it better.
        emphasis: a step forward: drawn stronger.
    """

    type: str
    text: str
    source: str
    target: str
    when: Mapping[str, str] = field(default_factory=dict)
    both: bool = False
    arrives: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    lasted_ns: str = ""
    lasted_ms: str = ""
    unless: str = ""
    emphasis: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """An event that is told beside a column."""

    type: str
    text: str
    at: str = HERE
    when: Mapping[str, str] = field(default_factory=dict)
    emphasis: bool = False


_WPA = "wpa.event"

RULES: tuple[Message | Note, ...] = (
    Note(
        "trigger.fired",
        "trigger: {signal_dbm:g} dBm, leaves below {leave_dbm:g} dBm",
        when={"rule": "signal-below"},
        emphasis=True,
    ),
    Note("trigger.fired", "trigger: {rule}", emphasis=True),
    # Link layer, as the mobile node's supplicant tells it.
    Message(
        _WPA,
        "deauthentication",
        "MN",
        BSSID,
        {"name": "CTRL-EVENT-DISCONNECTED", "locally_generated": "1"},
    ),
    Message(_WPA, "deauthentication, or lost", BSSID, "MN", {"name": "CTRL-EVENT-DISCONNECTED"}),
    Note(_WPA, "scan begins", when={"name": "CTRL-EVENT-SCAN-STARTED"}),
    Note(_WPA, "scan results", when={"name": "CTRL-EVENT-SCAN-RESULTS"}),
    Message(_WPA, "authentication", "MN", BSSID, {"name": "AUTHENTICATING"}),
    Message(_WPA, "association request", "MN", BSSID, {"name": "ASSOCIATING"}),
    Message(_WPA, "association response", BSSID, "MN", {"name": "ASSOCIATED"}),
    Message(_WPA, "4-way handshake", "MN", BSSID, {"name": "KEYS-NEGOTIATED"}, both=True),
    Note(_WPA, "port open", when={"name": "CTRL-EVENT-CONNECTED"}, emphasis=True),
    Note(_WPA, "association refused", when={"name": "CTRL-EVENT-ASSOC-REJECT"}, emphasis=True),
    Note(_WPA, "EAP failed", when={"name": "CTRL-EVENT-EAP-FAILURE"}, emphasis=True),
    # Authentication after the switch.
    Message("eap.message", "EAP request {method}", BSSID, "MN", {"direction": "request"}),
    Message("eap.message", "EAP response {method}", "MN", BSSID, {"direction": "response"}),
    Message("eap.message", "EAP {direction}", BSSID, "MN"),
    Message(
        "aaa.exchange",
        "{code}, {round_trip_ms:.1f} ms",
        HERE,
        "AAAH",
        both=True,
        lasted_ms="round_trip_ms",
    ),
    # Address and binding.
    Message("dhcp.bound", "DHCP: {address}", "MN", "router", both=True),
    Message(
        "mip4.request",
        "registration, care-of {care_of}",
        "MN",
        "HA",
        arrives=("mip4.binding", "mip4.refused"),
    ),
    Message(
        "mip4.reply",
        "reply: {text}",
        "HA",
        "MN",
        left=("mip4.binding", "mip4.refused"),
    ),
    Message(
        "mip6.update",
        "Binding Update, care-of {care_of}",
        "MN",
        "HA",
        arrives=("mip6.binding", "mip6.refused"),
    ),
    Message(
        "mip6.acknowledgement",
        "Binding Acknowledgement: {text}",
        "HA",
        "MN",
        left=("mip6.binding", "mip6.refused"),
    ),
    Note("mip6.binding", "route optimised to {care_of}", when={"host": "cn"}),
    # Pre-authentication.
    Message(
        "preauth.authenticated",
        "{method} over PANA: {messages_sent} + {messages_received} messages",
        "MN",
        "AA",
        both=True,
        lasted_ns="duration_ns",
        emphasis=True,
    ),
    Message(
        "aa.authenticated",
        "{aaa_round_trips} RADIUS round trips, {aaa_ms:.0f} ms",
        "AA",
        "AAAV",
        both=True,
        lasted_ms="duration_ms",
    ),
    Message("keys.held", "MN-CA key", "AA", "CA", {"usage": "MN_CA"}),
    Message("keys.held", "MN-AR key", "AA", "AR", {"usage": "MN_AR"}),
    Message("keys.held", "PMK", "AA", HERE, {"usage": "PMK"}),
    Message("preauth.prepared", "keys confirmed, {ready} of {wanted} points", "AA", "MN"),
    Note("preauth.missed", "stored key not taken: full EAP", emphasis=True),
    Note("preauth.failed", "failed: {reason}", emphasis=True),
    Message(
        "preauth.serving",
        "arrival told and answered",
        "MN",
        "AA",
        both=True,
        lasted_ns="duration_ns",
    ),
    # Configuration, tunnel and switch at the next network, as the mobile node's phases tell them.
    Message(
        "phase.ended",
        "configuration protocol: nCoA, under the MN-CA key",
        "MN",
        "CA",
        {"phase": "pre-configuration", "outcome": "done"},
        both=True,
        emphasis=True,
    ),
    Message(
        "phase.ended",
        "tunnel management: proactive tunnel, under the MN-AR key",
        "MN",
        "AR",
        {"phase": "tunnel-setup", "outcome": "done"},
        both=True,
        emphasis=True,
    ),
    Message(
        "phase.ended",
        "hold: the old link is drained",
        "MN",
        "AR",
        {"phase": "pre-switching", "outcome": "done"},
        both=True,
        unless="tunnel.changed",
    ),
    Message(
        "phase.ended",
        "arrived: held packets released",
        "MN",
        "AR",
        {"phase": "arrival", "outcome": "done"},
        both=True,
        unless="tunnel.changed",
        emphasis=True,
    ),
    Message(
        "ca.granted",
        "{method}: {address}",
        "CA",
        "AR",
        both=True,
        lasted_ns="duration_ns",
    ),
    Note("ca.refused", "refused: {reason}", emphasis=True),
    Note("tunnel.checked", "nobody has the address", when={"free": "True"}),
    Note("tunnel.checked", "address refused: {reason}", emphasis=True),
    Note("tunnel.refused", "{request} refused: {reason}", emphasis=True),
    Note("tunnel.changed", "tunnel stands, {protection}", when={"state": "tunnelled"}),
    Message("tunnel.changed", "{cause}: packets are held", "MN", HERE, {"state": "holding"}),
    Message(
        "tunnel.changed",
        "{cause}: {held_packets} held packets released",
        "MN",
        HERE,
        {"state": "direct"},
    ),
    Note("tunnel.changed", "keeps what comes for oCoA", when={"state": "detained"}),
    Note("tunnel.changed", "tunnel is gone: {cause}", when={"state": "gone"}),
    Note("handover.ready", "prepared to level {level}", emphasis=True),
    Note("handover.finished", "handover over: {outcome}", emphasis=True),
    # The other end of the MN's holding: its own event is of the last acknowledgement.
    Message("hold.started", "hold packets", "MN", HERE, {"agent": "hold", "cause": "request"}),
    Message(
        "hold.released",
        "release {held_packets} held packets",
        "MN",
        HERE,
        {"agent": "hold", "cause": "request"},
    ),
    Note("hold.released", "hold ends: {cause}", when={"agent": "hold"}),
)
