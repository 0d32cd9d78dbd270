"""The mobile node's side of pre-authentication (RFC 6252 s6.3 step 1): one CTN, then several.

`preauthentication` takes one candidate network from nothing to keys in both ends and through its
time as the serving network; `preparations` has several of them at once. Both are sans-IO.
"""
