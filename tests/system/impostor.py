# SPDX-License-Identifier: Apache-2.0
"""A foreign server in payment's place, with the real one behind it: it hands on what it is asked, but answers Pay as it likes."""
import concurrent.futures
import contextlib
import time

import grpc

from cluster import free_port
from policy import PAY

LATE = 0.7  # seconds; the policy gives it half of one


def not_a_message(_request, _context, _pay):
    return b"\xff" * 9


def paid_but_not_a_message(request, _context, pay):
    pay(request)
    return b"\xff" * 9


def paid_but_nothing_said(request, _context, pay):
    pay(request)
    return b""


def unknown(_request, context, _pay):
    context.abort(grpc.StatusCode.UNKNOWN, "nobody knows")


def paid_but_internal(request, context, pay):
    pay(request)
    context.abort(grpc.StatusCode.INTERNAL, "it broke afterwards")


def unavailable(_request, context, _pay):
    context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


def paid_but_late(request, _context, pay):
    answer = pay(request)
    time.sleep(LATE)
    return answer


class Handler(grpc.GenericRpcHandler):
    def __init__(self, channel, answer):
        self.channel = channel
        self.answer = answer

    def service(self, details):
        if not details.method.startswith("/fashion.payment."):
            return None  # there is no health service, for example

        call = self.channel.unary_unary(details.method)  # bytes in, bytes out

        def hand_on(request, context=None):
            try:
                return call(request, timeout=10)
            except grpc.RpcError as e:
                if context is not None:
                    context.abort(e.code(), e.details())
                return b""

        if details.method == PAY:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self.answer(request, context, hand_on))
        return grpc.unary_unary_rpc_method_handler(hand_on)


@contextlib.contextmanager
def in_place_of_payment(cluster, answer):
    payment = cluster["payment"]
    address = f"127.0.0.1:{payment.grpc_port}"
    usual = payment.grpc_port
    payment.kill()
    payment.grpc_port = free_port()
    payment.start()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(64))
    try:
        with grpc.insecure_channel(f"127.0.0.1:{payment.grpc_port}") as channel:
            server.add_generic_rpc_handlers((Handler(channel, answer),))
            server.add_insecure_port(address)
            server.start()
            yield
    finally:
        server.stop(None).wait()
        payment.stop()
        payment.grpc_port = usual
        payment.start()
