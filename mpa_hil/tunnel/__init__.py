"""Managing the proactive handover tunnel (PHT, RFC 6252 s7.4) and what is held for its MN.

`router.RouterTunnels` is the access router's machine, `node.TunnelClient` the mobile node's; both
are sans-IO and talk through `mpa_hil.signalling` under the MN-AR key.
"""
