"""When to prepare, bind and switch, and where to (RFC 6252 s6.3, s7.2, C.1, C.4, C.6). Sans-IO.

`interface` has what goes in and what comes out, `engine` keeps the situation and asks a policy,
`loading` finds policies by name. Nothing here is heavy to import: it runs on the mobile node.
"""
