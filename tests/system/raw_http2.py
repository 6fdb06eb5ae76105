# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client that sends what no gRPC library would (RFC 9113; headers as RFC 7541 literals, never compressed)."""
import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STATUS = b"grpc-status"  # the core of gRPC does not compress the texts of headers


def literal(text):
    data = text if isinstance(text, bytes) else text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest = len(data) - 127
    size = b"\x7f"
    while rest >= 128:
        size += bytes([rest % 128 + 128])
        rest //= 128
    return size + bytes([rest]) + data


def header_block(headers):
    return b"".join(b"\x10" + literal(name) + literal(value) for name, value in headers)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(data, compressed=False):
    """A gRPC message with the five bytes before it."""
    return bytes([compressed]) + struct.pack(">I", len(data)) + data


def request_headers(path, content_type="application/grpc", extra=()):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"), ("te", "trailers"),
            *([("content-type", content_type)] if content_type is not None else []), *extra]


class Http2:
    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.stream = -1
        self.status = None
        self.by_handler = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    def abandon(self):
        """Closes without a word: the peer gets a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def reset(self, stream):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))  # CANCEL

    def send(self, data):
        self.socket.sendall(data)

    def call(self, headers, body=None, end=True):
        """Starts a call; returns the number of its stream."""
        self.stream += 2
        block = header_block(headers)
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if body is None and end else 0), self.stream, block))
        if body is not None:
            self.send(frame(DATA, END_STREAM if end else 0, self.stream, body))
        return self.stream

    def read(self, n):
        data = b""
        while len(data) < n:
            got = self.socket.recv(n - len(data))
            if not got:
                raise EOFError
            data += got
        return data

    def next_frame(self):
        """(kind, flags, stream, payload) of what comes next; EOFError or ConnectionError if nothing will."""
        head = self.read(9)
        payload = self.read(int.from_bytes(head[:3], "big"))
        kind, flags = head[3], head[4]
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        return kind, flags, int.from_bytes(head[5:], "big"), payload

    def wait_for_end(self, stream):
        """How the server ends the call: "answered", "reset", or "closed" with the connection. The status is put into
        self.status (None: none), and into self.by_handler whether it is the runtime's or one that the core made up."""
        try:
            while True:
                kind, flags, of, payload = self.next_frame()
                if kind == HEADERS and of == stream and STATUS in payload:
                    at = payload.index(STATUS) + len(STATUS)
                    self.status = int(payload[at + 1:at + 1 + payload[at]])
                    self.by_handler = b"mesh-status" in payload
                if kind in (DATA, HEADERS) and of == stream and flags & END_STREAM:
                    return "answered"
                if kind == RST_STREAM and of == stream:
                    return "reset"
                if kind == GOAWAY:
                    return "closed"
        except (EOFError, ConnectionError):
            return "closed"
