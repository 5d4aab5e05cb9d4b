"""Embedding vectors of the simulated vendors: the same text always gives the same vector."""

import hashlib
import math


def embedding_vector(text: str, dimensions: int) -> list[float]:
    """`dimensions` numbers, of length one together."""
    digest = b""
    block = 0
    while len(digest) < dimensions:
        digest += hashlib.sha256(b"%d:%b" % (block, text.encode("utf-8", "surrogatepass"))).digest()
        block += 1
    raw = [byte - 127.5 for byte in digest[:dimensions]]
    length = math.sqrt(sum(number * number for number in raw))
    return [number / length for number in raw]
