# SPDX-License-Identifier: Apache-2.0
"""Fields of protobuf messages, byte by byte."""


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def raw_field(number, data):
    """A field of bytes, whatever its type is."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def raw_number(number, value):
    return varint(number << 3) + varint(value)
