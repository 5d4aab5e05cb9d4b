"""An embedding vector in the encodings that vendors offer. All little endian; bits from the highest down."""

import base64
import struct


def base64_of_floats(vector: list[float]) -> str:
    """32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def int8(vector: list[float]) -> list[int]:
    return [max(-128, min(127, round(number * 127))) for number in vector]


def uint8(vector: list[float]) -> list[int]:
    return [number + 128 for number in int8(vector)]


def ubinary(vector: list[float]) -> list[int]:
    """One bit for each number, set where it is above zero, eight to a byte."""
    bits = [number > 0 for number in vector]
    return [sum(bit << (7 - place) for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)]


def binary(vector: list[float]) -> list[int]:
    return [byte - 128 for byte in ubinary(vector)]
