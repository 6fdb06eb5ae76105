# SPDX-License-Identifier: Apache-2.0
"""How long the order service lets each peer take: what the call itself says, as a foreign server in the peer's place reads it."""
import concurrent.futures
import contextlib

import grpc
from fashion.delivery.v1 import delivery_pb2_grpc
from fashion.payment.v1 import payment_pb2_grpc
from fashion.product.v1 import product_pb2_grpc

from cluster import eventually
from store import CANCELLED, PAID, PLACED, Delivery, Payment, Product, new_id

SECONDS = {"product": 1.0, "payment": 0.5, "delivery": 1.0}
ROUNDING = 0.1  # of the time on the wire


class Peers(product_pb2_grpc.ProductServiceServicer, payment_pb2_grpc.PaymentServiceServicer,
            delivery_pb2_grpc.DeliveryServiceServicer):
    """All three at once; left[peer] is how much time its last call had."""

    def __init__(self):
        self.left = {}

    def ReserveStock(self, request, context):
        self.left["product"] = context.time_remaining()
        return Product.ReserveStockResponse(product_id=new_id(), unit_price_krw=1, total_krw=request.quantity)

    def Pay(self, request, context):
        self.left["payment"] = context.time_remaining()
        payment = Payment.Payment(payment_id=new_id(), order_id=request.order_id, status=PAID,
                                  amount_krw=request.amount_krw)
        return Payment.PayResponse(payment=payment)

    def WithdrawOrder(self, request, context):
        self.left["delivery"] = context.time_remaining()
        return Delivery.WithdrawOrderResponse()


@contextlib.contextmanager
def in_place_of_the_peers(cluster):
    peers = Peers()
    with contextlib.ExitStack() as stack:
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        product_pb2_grpc.add_ProductServiceServicer_to_server(peers, server)
        payment_pb2_grpc.add_PaymentServiceServicer_to_server(peers, server)
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(peers, server)
        for peer in SECONDS:
            cluster[peer].kill()
            stack.callback(cluster[peer].start)
            assert server.add_insecure_port(f"127.0.0.1:{cluster[peer].grpc_port}") == cluster[peer].grpc_port
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        yield peers


def test_FS_N_3_a_peer_gets_its_own_time_however_much_the_caller_has(cluster, store):
    with in_place_of_the_peers(cluster) as peers:
        order = store.place(Product.Product(code=new_id(), size="S"), timeout=60).order
        assert order.status == PLACED
        store.cancel(order.order_id)
    for peer, seconds in SECONDS.items():
        assert 0 < peers.left[peer] <= seconds + ROUNDING, peer
    # The real peers know nothing of it, and so it shall stay.
    eventually(lambda: store.cancel(order.order_id).status == CANCELLED)
