"""The records that travel the ring, and the closed lists that every service shares. No I/O here.

Read in the ring's order: `tenancy`, `catalogue`, `envelope`, `frames`, `usage`, `spend`; beside them `topics`,
`failures`, `money`, `ids`, and `codec`, which turns records into bytes and back.
"""
