"""Vendor simulator: model vendors over loopback HTTP, with pacing and faults chosen by model name.

It keeps its own ledger of every call it served and what that call cost. It imports nothing of the gateway:
two sides that share code would agree on the same wrong figure, and no test of money could notice.

Read in this order: behaviour (what a model name means), ask (what a request wants), generation (what is answered),
wire and wires (the formats it plays, two or three files each: NAME_request, what a body may hold; NAME_reading or
NAME_conversation, the rules over it; NAME_wire, how the answer looks), prices and ledger (what it cost), delivery
(pacing and faults), server, __main__.
"""
