# SPDX-License-Identifier: Apache-2.0
"""Every field of every public RPC with values that it must not have, and calls that no library would send.

Never a crash, a hang, INTERNAL or UNKNOWN, and never more than a bounded amount of memory. Cases are made from the
descriptors that the services themselves serve, so that no RPC and no field can be forgotten.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import resource
import socket
import struct

import grpc
import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import memory
from cluster import SERVICES, eventually
from raw_http2 import DATA, END_STREAM, HEADERS, SETTINGS, Http2, frame, message, request_headers
from store import SHIPPED, Order, detail, new_id
from wire import raw_field, raw_number, varint

MESSAGE_LIMIT = 4 << 20
MEMORY_MB = 320  # that a service may grow by under all of this, with the sanitizer's own and all of its threads
BOMB_MB = 256  # unpacked
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
# What a well-formed call with odd values may be answered.
SENSIBLE = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "ALREADY_EXISTS"}
UNKNOWN, FAILED_PRECONDITION, INTERNAL = 2, 9, 13
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STREAM_LIMIT = 64  # MESH_STREAM_LIMIT
SEED = 20
STREAM_SECONDS = 0.4  # a stream without end is cut after so long
STRING, BYTES, MESSAGE, ENUM = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE,
                                FieldDescriptor.TYPE_ENUM)
LIMITS = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
}


# ---- what is served ----------------------------------------------------------------------------

class Method:
    def __init__(self, port, service, descriptor):
        self.port = port
        self.path = f"/{service}/{descriptor.name}"
        self.request = descriptor.input_type
        self.streams = descriptor.server_streaming
        self.channel = self.connect()

    def connect(self):
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.max_send_message_length", -1),
                                                                        ("grpc.use_local_subchannel_pool", 1)])

    def __repr__(self):
        return self.path

    def call(self, data, timeout=None, **options):
        """Sends these bytes; returns the code's name and the error or None. A stream is cut after a while."""
        identity = {"request_serializer": None, "response_deserializer": None}
        try:
            if self.streams:
                stream = self.channel.unary_stream(self.path, **identity)(data, timeout=timeout or STREAM_SECONDS, **options)
                for _ in stream:
                    pass
            else:
                self.channel.unary_unary(self.path, **identity)(data, timeout=timeout or 10, **options)
        except grpc.RpcError as e:
            if self.streams and e.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return "OK", None  # it would have gone on
            return e.code().name, e
        return "OK", None


@pytest.fixture(scope="module")
def settings():
    """The address sanitizer keeps what was freed; here it must not hide what a service takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
        yield {"ORDER_PAY_RETRY_MS": "200"}


@pytest.fixture(scope="module")
def methods(cluster):
    pool = descriptor_pool.Default()
    found = []
    for service in SERVICES:
        port = cluster[service].grpc_port
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            names = [n for n in ProtoReflectionDescriptorDatabase(channel).get_services() if n.startswith("fashion.")]
        assert names, service
        for name in names:
            found += [Method(port, name, m) for m in pool.FindServiceByName(name).methods]
    assert len(found) == 19  # as in test_PX_8
    return found


@pytest.fixture(scope="module", autouse=True)
def survivors(cluster):
    """After all tests of this module every process is the one that it was, and has not taken much memory."""
    before = {s: (cluster[s].popen.pid, peak_mb(cluster[s])) for s in SERVICES}
    yield
    for service, (pid, peak) in before.items():
        assert cluster[service].popen.poll() is None and cluster[service].popen.pid == pid, cluster[service].tail()
        assert cluster[service].http("/readyz")[0] == 200
        for code in ("Internal", "Unknown", "DataLoss"):
            assert cluster[service].metric("grpc_server_handled_total", grpc_code=code) == 0, (service, code)
        grown = peak_mb(cluster[service]) - peak
        print(f"{service}: {grown} MB more at most")
        assert grown < MEMORY_MB, service


def peak_mb(process):
    return memory.peak_kb(process) // 1024


# ---- values ------------------------------------------------------------------------------------

def rules_of(field):
    return field.GetOptions().Extensions[validate_pb2.field]


def number_rules(field):
    rules = rules_of(field)
    kind = {FieldDescriptor.TYPE_INT32: "int32", FieldDescriptor.TYPE_INT64: "int64",
            FieldDescriptor.TYPE_UINT32: "uint32", FieldDescriptor.TYPE_UINT64: "uint64"}[field.type]
    return getattr(rules, kind)


def number_is_valid(field, value):
    rules = number_rules(field)
    return ((not rules.HasField("gte") or value >= rules.gte) and (not rules.HasField("gt") or value > rules.gt)
            and (not rules.HasField("lte") or value <= rules.lte) and (not rules.HasField("lt") or value < rules.lt))


def set_valid(request, field):
    """A value that its rules allow."""
    if field.type == STRING:
        value = new_id() if rules_of(field).string.uuid else "a" * rules_of(field).string.min_len
    elif field.type in LIMITS:
        value = next(v for v in (0, 1, *LIMITS[field.type]) if number_is_valid(field, v))
    elif field.type == ENUM:
        value = field.enum_type.values[-1].number
    elif field.type == MESSAGE:
        valid(field.message_type, getattr(request, field.name))
        getattr(request, field.name).SetInParent()
        return
    else:
        raise AssertionError(f"no valid value is known for {field.full_name}")
    setattr(request, field.name, value)


def valid(descriptor, request=None):
    """A request that breaks no rule."""
    request = request if request is not None else message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        needed = rules_of(field).required or not (field.has_presence or field.is_repeated)
        if needed and not field.is_repeated:
            set_valid(request, field)
    return request


def string_cases(field):
    rules = rules_of(field).string
    readable = field.name != "page_token"  # a text that only the service can make
    yield "empty", b"", rules_of(field).ignore != 0 or not (rules.uuid or rules.min_len > 0)
    yield "wrong UUID", b"0123", readable and not rules.uuid and rules.min_len <= 4
    yield "a brace", b"{0123456789abcdef0123456789abcdef012}"[:36], readable and not rules.uuid and rules.max_len >= 36
    limit = 36 if rules.uuid else rules.max_len
    assert limit > 0, f"{field.full_name} has no greatest length"
    yield "too long", b"a" * (limit + 1), False
    yield "much too long", b"a" * 1000000, False
    yield "too long in characters of four bytes", "\U0001F600".encode() * (limit + 1), False
    for name, data in (("a lone continuation byte", b"\x80"), ("no UTF-8", b"\xff\xfe\xfd"), ("an overlong slash", b"\xc0\xaf"),
                       ("a surrogate", b"\xed\xa0\x80"), ("cut in a character", b"a\xe2\x82"), ("a NUL", b"a\x00b")):
        yield name, data, False


def cases(field):
    """name, the field's bytes on the wire, whether it is valid there (None: it may be either)."""
    least, most = LIMITS.get(field.type, (0, 0))
    key = field.number << 3
    yield "a group", varint(key | 3) + varint(key | 4), False
    yield "200 groups", varint(key | 3) * 200 + varint(key | 4) * 200, False
    yield "four bytes", varint(key | 5) + bytes(4), False
    yield "eight bytes", varint(key | 1) + bytes(8), False
    yield "a tag that is none", varint(key | 7), False
    yield "longer than the message", varint(key | 2) + b"\x7f", False
    yield "a terabyte", varint(key | 2) + varint(1 << 40), False
    if field.type == STRING:
        for name, data, good in string_cases(field):
            yield name, raw_field(field.number, data), good
        yield "a number for a string", raw_number(field.number, 7), None
    elif field.type in LIMITS:
        for value in (0, 1, -1, least, most, least + 1, most - 1):
            if least <= value <= most:
                yield str(value), raw_number(field.number, value), number_is_valid(field, value)
        yield "a string for a number", raw_field(field.number, b"many"), None
        yield "half a number", varint(key) + b"\x80", False
        yield "a number of eleven bytes", varint(field.number << 3) + b"\xff" * 10 + b"\x01", False
    elif field.type == ENUM:
        yield "an unknown number", raw_number(field.number, 9999), None
    elif field.type == MESSAGE:
        yield "junk", raw_field(field.number, b"\xff\xff\xff"), False
        yield "twice", raw_field(field.number, b"") * 2, None
    if field.is_repeated:
        yield "100,000 elements", raw_field(field.number, b"") * 100000, None


def fields_of(descriptor, path=()):
    """All fields, each with those that lead to it."""
    for field in descriptor.fields:
        yield (*path, field)
        if field.type == MESSAGE and not field.is_repeated and not field.message_type.full_name.startswith("google."):
            yield from fields_of(field.message_type, (*path, field))


def with_field(request, path, data):
    """The bytes of the request with its last field of the path replaced by these."""
    first, *rest = path
    inner = type(request)()
    inner.CopyFrom(request)
    if not rest:
        inner.ClearField(first.name)
        return inner.SerializeToString() + data
    part = getattr(inner, first.name)
    valid(first.message_type, part)  # another one of a oneof, perhaps
    part = type(part).FromString(part.SerializeToString())
    inner.ClearField(first.name)
    if first.containing_oneof is not None:
        inner.ClearField(first.containing_oneof.name)
    return inner.SerializeToString() + raw_field(first.number, with_field(part, rest, data))


# ---- the tests ---------------------------------------------------------------------------------

def test_a_bomb_takes_no_more_memory_than_a_message(cluster, methods):
    """The first test: it forgets the peak of what came before."""
    bomb = raw_field(1999, bytes(BOMB_MB << 20))
    for service in SERVICES:
        method = next(m for m in methods if m.port == cluster[service].grpc_port)
        method.call(raw_field(1999, bytes(MESSAGE_LIMIT - 100)), 20, compression=grpc.Compression.Gzip)
        memory.forget_peak(cluster[service])
        before = peak_mb(cluster[service])
        assert method.call(bomb, 20, compression=grpc.Compression.Gzip)[0] == "RESOURCE_EXHAUSTED", method
        assert peak_mb(cluster[service]) - before < BOMB_MB // 8, service


def test_every_field_of_every_rpc_refuses_what_its_rules_forbid(methods):
    n = 0
    for method in methods:
        good = valid(method.request)
        for path in fields_of(method.request):
            field = path[-1]
            for name, data, allowed in cases(field):
                code, error = method.call(with_field(good, path, data))
                where = f"{method} {field.name}: {name}: {code} {error.details() if error else ''}"
                n += 1
                if allowed is False:
                    assert code == "INVALID_ARGUMENT", where
                    check_names_the_field(error, field, where)
                else:
                    assert code in SENSIBLE, where
                    assert allowed is None or not names_the_field(error, field), where
    print(f"{n} cases")
    assert n > 300


def names_the_field(error, field):
    bad = detail(error, "BadRequest") if error else None
    return bad is not None and any(v.field.rsplit(".", 1)[-1] == field.name for v in bad.field_violations)


def check_names_the_field(error, field, where):
    """By a violation if the request could be read, by the text of the status if not."""
    if detail(error, "BadRequest") is not None:
        assert names_the_field(error, field), where
    else:
        assert field.name in error.details(), where


def test_a_missing_request_names_everything_that_it_needs(methods):
    for method in methods:
        code, error = method.call(b"")
        needed = [f.name for f in method.request.fields if f.type == STRING and not f.has_presence and not rules_of(f).ignore
                  and (rules_of(f).string.uuid or rules_of(f).string.min_len)]
        if not needed:
            assert code in SENSIBLE, method
            continue
        assert code == "INVALID_ARGUMENT", method
        named = {v.field for v in detail(error, "BadRequest").field_violations}
        assert set(needed) <= named, (method, named)


def test_shapes_that_no_message_has(methods):
    for method in methods:
        good = valid(method.request).SerializeToString()
        plain, _ = method.call(good)
        assert plain in SENSIBLE, (method, plain)
        assert method.call(good + raw_number(536870911, 1) + raw_field(1999, b"unknown"))[0] == plain, method
        assert method.call(good + bytes(5 << 20))[0] == "RESOURCE_EXHAUSTED", method
        assert method.call(raw_field(1999, bytes(5 << 20)))[0] == "RESOURCE_EXHAUSTED", method
        nested = b""
        for _ in range(200):
            nested = raw_field(1, nested)
        assert method.call(nested)[0] in SENSIBLE, method
        groups = varint(1999 << 3 | 3) * 200 + varint(1999 << 3 | 4) * 200
        assert method.call(good + groups)[0] in {"INVALID_ARGUMENT", plain}, method
        assert method.call(varint(1999 << 3 | 3) * 200)[0] == "INVALID_ARGUMENT", method
        assert method.call(raw_field(1999, b"") * 100000)[0] in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "OK"}, method


def test_messages_cut_at_every_byte(methods):
    for method in methods:
        good = valid(method.request).SerializeToString()
        for size in range(len(good)):
            code, _ = method.call(good[:size])
            assert code in SENSIBLE, (method, size, code)


def test_of_one_field_a_hundred_thousand_times_the_last_counts(methods):
    for method in methods:
        good = valid(method.request)
        for path in fields_of(method.request):
            field = path[-1]
            piece = raw_number(field.number, 1) if field.type in LIMITS else raw_field(field.number, b"")
            many, error = method.call(with_field(good, path, piece * 100000))
            if field.type == MESSAGE:
                assert many == "INVALID_ARGUMENT" and "given twice" in error.details(), (method, field.name, many)
            else:
                assert many == method.call(with_field(good, path, piece))[0], (method, field.name, many)


def test_bytes_at_random(methods):
    print("seed", SEED)
    dice = random.Random(SEED)
    for method in methods:
        good = valid(method.request).SerializeToString() + raw_field(1999, b"more")
        for _ in range(10 if method.streams else 100):
            mixed = bytearray(good)
            for _ in range(dice.randint(1, 8)):
                mixed[dice.randrange(len(mixed))] = dice.randrange(256)
            code, _ = method.call(bytes(mixed))
            assert code in SENSIBLE, (method, bytes(mixed), code)


def test_compressed_messages_are_read_and_bombs_are_not(methods):
    bomb = raw_field(1999, bytes(32 << 20))
    for method in methods:
        good = valid(method.request).SerializeToString()
        assert method.call(good, compression=grpc.Compression.Gzip)[0] == method.call(good)[0], method
        assert method.call(bomb, 20, compression=grpc.Compression.Gzip)[0] == "RESOURCE_EXHAUSTED", method
        assert method.call(good, compression=grpc.Compression.Deflate)[0] == method.call(good)[0], method


def test_headers_that_are_too_large_or_junk(methods):
    for method in methods:
        good = valid(method.request).SerializeToString()
        plain, _ = method.call(good)
        with method.connect() as own:  # the core may close a connection with such headers
            with pytest.raises(grpc.RpcError) as error:
                own.unary_unary(method.path)(good, timeout=10, metadata=[("x-large", "a" * 100000)])
            assert error.value.code() == EXHAUSTED, (method, error.value)
        for large in ([("x-large-bin", bytes(100000))], [(f"x-{i}", "v" * 100) for i in range(1000)]):
            with method.connect() as own, pytest.raises(grpc.RpcError) as error:
                own.unary_unary(method.path)(good, timeout=10, metadata=large)
            assert error.value.code() in (EXHAUSTED, grpc.StatusCode.UNAVAILABLE), (method, error.value)
        for junk in (("traceparent", "junk"), ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"),
                     ("traceparent", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01"), ("tracestate", "=" * 600),
                     ("x-correlation-id", " "), ("grpc-trace-bin", b"\x00\xff" * 40), ("x-junk-bin", bytes(range(256)))):
            code, error = method.call(good, metadata=[junk])
            assert code == plain, (method, junk, error)


def test_a_deadline_of_one_millisecond(methods):
    for method in methods:
        good = valid(method.request).SerializeToString()
        for _ in range(20):
            code, _ = method.call(good, timeout=0.001)
            # UNAVAILABLE: a peer was not asked any more.
            assert code in SENSIBLE | {"DEADLINE_EXCEEDED", "UNAVAILABLE"}, (method, code)


def raw_calls(method):
    """What ends a call early, or is none: a name, headers, body, whether the body is the end."""
    good = message(valid(method.request).SerializeToString())
    grpc_headers = request_headers(method.path)
    yield "no content-type", request_headers(method.path, None), good
    yield "text", request_headers(method.path, "text/plain"), good
    yield "JSON", request_headers(method.path, "application/json"), b"{}"
    yield "another codec", request_headers(method.path, "application/grpc+json"), message(b"{}")
    yield "no message", grpc_headers, None
    yield "half a prefix", grpc_headers, good[:3]
    yield "half a message", grpc_headers, good[:-1] if len(good) > 5 else good[:4]
    yield "two messages", grpc_headers, good + good
    yield "an unknown flag", grpc_headers, b"\x07" + good[1:]
    yield "compressed by nothing", grpc_headers, b"\x01" + good[1:]
    yield "an unknown encoding", request_headers(method.path, extra=[("grpc-encoding", "zebra")]), b"\x01" + good[1:]
    yield "gzip that is none", request_headers(method.path, extra=[("grpc-encoding", "gzip")]), b"\x01" + good[1:]
    yield "four gigabytes announced", grpc_headers, struct.pack(">BI", 0, 0xffffffff)
    yield "a timeout that is none", request_headers(method.path, extra=[("grpc-timeout", "soon")]), good
    yield "a negative timeout", request_headers(method.path, extra=[("grpc-timeout", "-1S")]), good
    yield "binary that is no base64", request_headers(method.path, extra=[("x-junk-bin", "!!!!")]), good
    yield "a header that is no text", request_headers(method.path, extra=[("x-junk", b"\x01\x02\xff")]), good
    yield "GET", [(":method", "GET"), *grpc_headers[1:]], good


def test_calls_that_no_library_would_send_end_at_once(methods):
    for method in methods:
        for name, headers, body in raw_calls(method):
            with Http2(method.port, timeout=20) as client:
                # The last: a stream that is asked for properly goes on, so the test cuts it.
                stream = client.call(headers if not method.streams else headers + [("grpc-timeout", "400m")]
                                     if "timeout" not in name else headers, body)
                if method.streams and "timeout" in name:
                    continue
                assert client.wait_for_end(stream) in {"answered", "reset", "closed"}, (method, name)
                check_status(client, (method, name))
        assert method.call(valid(method.request).SerializeToString())[0] in SENSIBLE, method


def check_status(client, where):
    """UNKNOWN is what the core says of headers that make no call, before anything of ours has seen them."""
    assert client.status != INTERNAL and (client.status != UNKNOWN or not client.by_handler), (where, client.status)


def test_headers_of_any_content(methods):
    method = next(m for m in methods if m.path.endswith("/PlaceOrder"))
    good = message(valid(method.request).SerializeToString())
    with Http2(method.port, timeout=20) as client:
        client.wait_for_end(client.call(request_headers(method.path), good))
        plain = client.status
    assert plain == FAILED_PRECONDITION  # there is no such article
    values = ("", " ", b"\xff\xfe", b"\x01", "a\nb", "a\0b", "!!!!", "abc", "=" * 100, "%00%", "a" * 8000, "-1", "9" * 20)
    harmless = ("x-any", "x-correlation-id", "traceparent", "tracestate", "grpc-status", "mesh-status", "grpc-message")
    for name in (*harmless, "x-any-bin", "X-Upper", "", " ", "x y", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding",
                 "grpc-status-details-bin", "grpc-trace-bin", "grpc-previous-rpc-attempts", "user-agent", "content-length",
                 "host", "connection", "te", ":path", ":method", ":status"):
        for value in values:
            with Http2(method.port, timeout=20) as client:
                stream = client.call(request_headers(method.path, extra=[(name, value)]), good)
                client.wait_for_end(stream)
                check_status(client, (name, value))
                assert name not in harmless or client.status == plain, (name, value, client.status)


def test_a_wrong_traceparent_is_ignored(methods):
    for method in methods:
        good = valid(method.request).SerializeToString()
        plain, _ = method.call(good)
        for wrong in ("", "00", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-more", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
                      f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00_{TRACE}-{SPAN}-01", "-" * 55, "a" * 5000):
            code, _ = method.call(good, 0.1 if method.streams else 10, metadata=[("traceparent", wrong)])
            assert code == plain, (method, wrong, code)


def test_calls_that_are_reset_in_any_state_leave_the_connection_fit(methods):
    print("seed", SEED)
    dice = random.Random(SEED)
    for method in methods:
        good = message(valid(method.request).SerializeToString())
        with Http2(method.port) as client:
            for _ in range(30):
                body = good[:dice.randint(0, len(good))]
                client.reset(client.call(request_headers(method.path), body or None, end=dice.random() < 0.5))
            stream = client.call(request_headers("/grpc.health.v1.Health/Check"), message(b""))
            assert client.wait_for_end(stream) == "answered", method


def test_orders_that_their_client_leaves_are_done_once(store):
    print("seed", SEED)
    dice = random.Random(SEED)
    product = store.register(stock=1000)
    requests = [Order.PlaceOrderRequest(request_id=new_id(), customer_id="hurried", product_code=product.code, size=product.size,
                                        quantity=2) for _ in range(60)]
    for request in requests:
        with contextlib.suppress(grpc.RpcError, grpc.FutureTimeoutError):
            if dice.random() < 0.5:
                store.order.PlaceOrder(request, timeout=dice.choice((0.001, 0.003, 0.01)))
            else:
                future = store.order.PlaceOrder.future(request, timeout=10)
                try:
                    future.result(dice.random() / 50)
                finally:
                    future.cancel()

    def final(request):
        try:
            return store.order.PlaceOrder(request, timeout=10).order.order_id
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED), error  # repeat
            return None

    ids = {eventually(lambda r=r: final(r), 20) for r in requests}
    assert len(ids) == len(requests)
    eventually(lambda: all(store.get_order(order).status == SHIPPED for order in ids), 20)
    assert {o.order_id for o in store.all_orders("hurried")} == ids
    assert store.stock(product) == 1000 - 2 * len(requests)


def test_watchers_that_vanish_give_their_place_back(store, methods):
    watch = next(m for m in methods if m.streams)
    product = store.register(stock=1000)

    def told(client):
        """Whether a watcher has been told something; None if it was refused."""
        while True:
            try:
                kind, flags, _, _ = client.next_frame()
            except TimeoutError:
                return False
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return None
            if kind == DATA:
                return True

    def open_watches():
        """As many as there may be, in the middle of what they are told; none if there is no room for them yet."""
        clients = [Http2(watch.port, timeout=0.2) for _ in range(STREAM_LIMIT)]
        for client in clients:
            client.call(request_headers(watch.path), message(b""))
        for client in clients:
            while (ready := told(client)) is False:
                store.place(product)  # something to tell: what changes after a watcher came
            if ready is None:
                for other in clients:
                    other.close()
                return None
        return clients

    for way in (Http2.abandon, Http2.close, Http2.abandon):
        for client in eventually(open_watches, 20, "room for all watchers"):
            way(client)
    eventually(lambda: watch.call(b"")[0] == "OK", what="room for one more")


def test_clients_that_cancel_or_vanish(cluster, methods):
    for method in methods:
        good = message(valid(method.request).SerializeToString())
        for end in (True, False):
            clients = [Http2(method.port) for _ in range(20)]
            for client in clients:
                client.call(request_headers(method.path), good, end)
            for client in clients:
                client.close()
        call = method.channel.unary_unary if not method.streams else method.channel.unary_stream
        for _ in range(50):
            call(method.path).future(good[5:]).cancel() if not method.streams else call(method.path)(good[5:]).cancel()
    for service in SERVICES:  # nothing is under way any more
        eventually(lambda s=service: cluster[s].metric("mesh_server_streams") == 0
                   and cluster[s].metric("mesh_server_queue_depth") == 0, 20, f"{service} is idle")


def test_a_thousand_connections_opened_and_abandoned(methods):
    ports = sorted({m.port for m in methods})

    def abandon(port):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(b"PRI * HTTP/2.0\r\n" if port % 2 else b"GET / HTTP/1.1\r\n\r\n")

    for port in ports:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(abandon, [port] * 1000))
    for method in methods:
        assert method.call(valid(method.request).SerializeToString())[0] in SENSIBLE, method


def test_a_thousand_connections_held_at_once_leave_room_and_are_forgotten(cluster, methods):
    method = next(m for m in methods if m.path.endswith("/ListOrders"))
    files = pathlib.Path(f"/proc/{cluster['order'].popen.pid}/fd")
    before = len(list(files.iterdir()))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
    begun = (b"", preface, preface + frame(HEADERS, 0, 1, b"\x83")[:5], b"GET / HTTP/1.1\r\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    with contextlib.ExitStack() as stack:
        for i in range(1000):
            stack.enter_context(socket.create_connection(("127.0.0.1", method.port), timeout=20)).sendall(begun[i % len(begun)])
        assert method.call(b"")[0] == "OK"
    eventually(lambda: len(list(files.iterdir())) <= before + 20, 20, "the connections are closed")
