"""Vendor simulator: model vendors over loopback HTTP, with pacing and faults chosen by model name.

It keeps its own ledger of every call it served and what that call cost. It imports nothing of the gateway:
two sides that share code would agree on the same wrong figure, and no test of money could notice.

Read in this order: behaviour (what a model name means), generation (what is answered), openai_wire (how it
looks on the wire), prices and ledger (what it cost), delivery (pacing and faults), server, __main__.
"""
