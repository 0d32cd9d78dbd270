"""Protected requests and answers between a mobile node and one agent of a candidate network.

Configuration (MN and configuration agent, under the MN-CA key) and tunnel management (MN and access
router, under the MN-AR key) both speak this, each with requests and answers of its own.
`docs/signalling.md` has the rules. Sans-IO.

    message     the datagram: header, values, MAC
    values      the values (TLVs) in it
    client      the MN's end of one key: makes requests, recognises their answers
    requester   repeats requests until they are answered, by the measured round trip
    server      the agent's end of all keys: replay protection, cached answers
"""
