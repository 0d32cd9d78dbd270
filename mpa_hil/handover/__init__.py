"""The handover at the mobile node, as machines without I/O.

handover = Handover(options)
for action in handover.feed(Event.PREPARE, now_ns):
    ...                                     # carry it out; its answer is fed later
handover.next_deadline(), handover.expire(now_ns)
handover.marks()                            # phases since the last call
"""
