"""The files of a FreeRADIUS instance, written in full from its typed configuration."""

from __future__ import annotations

import re
from ipaddress import ip_address

from rigs.services.freeradius_config import EapTls, HomeServer, RadiusConfig, Route, check

_DICTIONARIES = (
    *(f"rfc{number}" for number in (2865, 2866, 2868, 2869, 3162, 3580, 4072, 4372, 7268)),
    "microsoft",
    "freeradius",
    "freeradius.internal",
)
_DICTIONARY_FOLDER = "/usr/share/freeradius"
SESSIONS = "sessions"
"""Folder of the TLS sessions to be resumed, which hold keys."""


def files(config: RadiusConfig, folder: str) -> dict[str, bytes]:
    """Every file of one instance, by path below `folder` (absolute, on its host).

    Raises:
        LocalError: a name, address, realm or secret that cannot stand in the configuration.
    """
    check(config)
    result = {
        "radiusd.conf": _radiusd_conf(config, folder).encode(),
        "dictionaries/dictionary": "".join(
            f"$INCLUDE {_DICTIONARY_FOLDER}/dictionary.{name}\n" for name in _DICTIONARIES
        ).encode(),
    }
    if config.eap_tls is not None:
        result["server.pem"] = config.eap_tls.credentials.certificate
        result["server.key"] = config.eap_tls.credentials.key
        result["ca.pem"] = config.eap_tls.ca + (config.eap_tls.crl or b"")
        if config.eap_tls.session_cache:
            result[f"{SESSIONS}/.keep"] = b""
    return result


def _radiusd_conf(config: RadiusConfig, folder: str) -> str:
    servers = {server.name: server for route in config.routes for server in route.servers}
    parts = [
        _GENERAL.format(folder=folder, proxy="yes" if config.routes else "no"),
        *(_CLIENT.format(name=c.name, address=c.address, secret=c.secret) for c in config.clients),
        *(_home_server(server) for server in servers.values()),
        *(_realm(number, route) for number, route in enumerate(config.routes)),
        _modules(config.eap_tls),
        _virtual_server(config),
        _inner_server(config.eap_tls) if config.eap_tls and config.eap_tls.ttls_users else "",
    ]
    return "".join(parts)


_GENERAL = """\
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {folder}
logdir = {folder}
run_dir = {folder}
name = radiusd
max_request_time = 30
cleanup_delay = 5
max_requests = 1024
hostname_lookups = no
proxy_requests = {proxy}
log {{
  destination = stdout
  auth = yes
  auth_badpass = no
  auth_goodpass = no
}}
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = no
}}
thread pool {{
  start_servers = 1
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 4
  max_requests_per_server = 0
}}
"""

_CLIENT = """\
client {name} {{
  ipaddr = {address}
  secret = "{secret}"
  require_message_authenticator = yes
  nas_type = other
}}
"""


_REJECTING = """\
  always reject {
    rcode = reject
  }
"""


def _home_server(server: HomeServer) -> str:
    # zombie_period and revive_interval: a server that missed one reply is used again soon, as
    # there is no second one to turn to.
    return f"""\
home_server {server.name} {{
  type = auth
  ipaddr = {server.address}
  port = {server.port}
  secret = "{server.secret}"
  require_message_authenticator = yes
  response_window = {server.response_window_s}
  zombie_period = 20
  revive_interval = 10
  status_check = none
}}
"""


def _realm(number: int, route: Route) -> str:
    members = "".join(f"  home_server = {server.name}\n" for server in route.servers)
    return f"""\
home_server_pool pool{number} {{
  type = fail-over
{members}}}
realm {route.realm.lower()} {{
  auth_pool = pool{number}
  nostrip
}}
"""


def _modules(tls: EapTls | None) -> str:
    text = _REJECTING
    if tls is not None:
        text += _eap_module(tls)
        text += _PASSWORD_MODULES if tls.ttls_users else ""
    return f"modules {{\n{text}}}\n"


_PASSWORD_MODULES = """\
  pap {
  }
  mschap {
  }
"""


def _eap_module(tls: EapTls) -> str:
    # auto_chain would add the CA's own certificate, which the peer has: one more fragment, and so
    # one more round trip to the home domain. Intermediate ones belong into server.pem.
    cache = _CACHE if tls.session_cache else "        enable = no\n"
    ttls = _TTLS if tls.ttls_users else ""
    identity = '      check_cert_cn = "%{User-Name}"\n' if tls.check_identity else ""
    return f"""\
  eap {{
    default_eap_type = {tls.first_method}
    timer_expire = 60
    ignore_unknown_eap_types = no
    max_sessions = 1024
    tls-config lab {{
      private_key_file = ${{raddbdir}}/server.key
      certificate_file = ${{raddbdir}}/server.pem
      ca_file = ${{raddbdir}}/ca.pem
      auto_chain = no
      check_crl = {"yes" if tls.crl else "no"}
{identity}      fragment_size = {tls.fragment_bytes}
      include_length = yes
      cipher_list = "DEFAULT"
      ecdh_curve = "prime256v1"
      tls_min_version = "{tls.min_version}"
      tls_max_version = "{tls.max_version}"
      cache {{
{cache}      }}
    }}
    tls {{
      tls = lab
    }}
{ttls}  }}
"""


# 3.2.1 resumes nothing without persist_dir. The lifetime is in hours.
_CACHE = f"""\
        enable = yes
        lifetime = 1
        name = "lab"
        persist_dir = ${{raddbdir}}/{SESSIONS}
"""

_TTLS = """\
    ttls {
      tls = lab
      default_eap_type = tls
      virtual_server = inner
    }
"""


def _inner_server(tls: EapTls) -> str:
    """Who may come through EAP-TTLS's tunnel, and how."""
    users = ""
    for number, user in enumerate(tls.ttls_users):
        users += f"""\
    {"elsif" if number else "if"} (&User-Name == "{user.name}") {{
      update control {{
        &Cleartext-Password := "{user.password}"
      }}
    }}
"""
    return f"""\
server inner {{
  authorize {{
{users}    else {{
{_refusal("user unknown")}    }}
    mschap
    pap
  }}
  authenticate {{
    Auth-Type PAP {{
      pap
    }}
    Auth-Type MS-CHAP {{
      mschap
    }}
  }}
}}
"""


def _virtual_server(config: RadiusConfig) -> str:
    version = "ipaddr" if ip_address(config.address).version == 4 else "ipv6addr"
    return f"""\
server lab {{
  listen {{
    type = auth
    {version} = {config.address}
    port = {config.port}
  }}
  authorize {{
{_authorize(config)}  }}
  authenticate {{
{"    eap" if config.eap_tls else ""}
  }}
  post-auth {{
{_REPLY_CHECK if config.routes else ""}    update reply {{
      &Message-Authenticator := 0x00
    }}
    Post-Auth-Type REJECT {{
{_REJECT}    }}
  }}
{_PROXYING if config.routes else ""}}}
"""


# RFC 3579 s2.6.3: a rejection carries EAP-Failure, also one by a server without the EAP module.
_REJECT = """\
      if (!&reply:EAP-Message && ("%{EAP-Message}" =~ /^0x02([0-9a-f][0-9a-f])/)) {
        update reply {
          &EAP-Message := "0x04%{1}0004"
        }
      }
      update reply {
        &Message-Authenticator := 0x00
      }
"""

# Not in post-proxy: 3.2.1 runs a `reject` there, and accepts all the same.
_REPLY_CHECK = """\
    if (&control:Proxy-To-Realm && !&proxy-reply:Message-Authenticator) {
      update request {
        &Module-Failure-Message += "home server replied without Message-Authenticator"
      }
      reject
    }
"""

_PROXYING = """\
  pre-proxy {
    update proxy-request {
      &Message-Authenticator := 0x00
    }
  }
"""


def _authorize(config: RadiusConfig) -> str:
    branches: list[tuple[str, str]] = []
    for client in config.clients:
        if client.called_station_ids:
            named = " || ".join(
                f'(&Called-Station-Id == "{called}")' for called in client.called_station_ids
            )
            asked_by = f'"%{{client:shortname}}" == "{client.name}"'
            branches.append(
                (f"({asked_by}) && !({named})", _refusal("not a network of this client"))
            )
    if config.routes:
        # A request carries one Proxy-State for each proxy that it came through (RFC 2865 s5.33).
        branches.append(
            (f"&Proxy-State[{config.max_proxies - 1}]", _refusal("too many proxies: a loop"))
        )
    for route in config.routes:
        back = " || ".join(
            f"&Packet-Src-IP-Address == {s.address}" for s in route.servers if _v4(s)
        )
        if back:
            branches.append(
                (
                    f"({_has_realm(route.realm)}) && ({back})",
                    _refusal("the request comes from where it would be proxied to: a loop"),
                )
            )
        branches.append(
            (
                _has_realm(route.realm),
                "      update control {\n"
                f'        &Proxy-To-Realm := "{route.realm.lower()}"\n'
                "      }\n",
            )
        )
    if config.eap_tls is not None:
        ours = " || ".join(_has_realm(realm) for realm in config.eap_tls.realms)
        branches.append((ours, "      eap\n"))
    text = ""
    for number, (condition, action) in enumerate(branches):
        keyword = "elsif" if number else "if"
        text += f"    {keyword} ({condition}) {{\n{action}    }}\n"
    return f"{text}    else {{\n{_refusal('realm unknown')}    }}\n"


def _has_realm(realm: str) -> str:
    return f"&User-Name =~ /@{re.escape(realm)}$/i"


def _refusal(reason: str) -> str:
    return (
        f'      update request {{\n        &Module-Failure-Message += "{reason}"\n      }}\n'
        "      reject\n"
    )


def _v4(server: HomeServer) -> bool:
    return ip_address(server.address).version == 4
