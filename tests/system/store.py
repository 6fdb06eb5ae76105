# SPDX-License-Identifier: Apache-2.0
"""The fashion store as a foreign gRPC client sees it: Python grpcio and stubs of our .proto files."""
import itertools
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fashion.customercenter.v1 import customercenter_pb2, customercenter_pb2_grpc
from fashion.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from fashion.order.v1 import order_pb2, order_pb2_grpc
from fashion.payment.v1 import payment_pb2, payment_pb2_grpc
from fashion.product.v1 import product_pb2, product_pb2_grpc

Order = order_pb2
Payment = payment_pb2
Delivery = delivery_pb2
Dashboard = customercenter_pb2
Product = product_pb2

RECEIVED = order_pb2.ORDER_STATUS_RECEIVED
PAYMENT_PENDING = order_pb2.ORDER_STATUS_PAYMENT_PENDING
PLACED = order_pb2.ORDER_STATUS_PLACED
SHIPPED = order_pb2.ORDER_STATUS_SHIPPED
CANCELLED = order_pb2.ORDER_STATUS_CANCELLED
REJECTED = order_pb2.ORDER_STATUS_REJECTED
PAID = payment_pb2.PAYMENT_STATUS_PAID
PAYMENT_CANCELLED = payment_pb2.PAYMENT_STATUS_CANCELLED
STARTED = delivery_pb2.DELIVERY_STATUS_STARTED
DELIVERY_CANCELLED = delivery_pb2.DELIVERY_STATUS_CANCELLED


def new_id():
    return str(uuid.uuid4())


def detail(error, kind):
    """The detail of an RpcError of that kind (such as ErrorInfo), or None."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        message = getattr(error_details_pb2, kind)()
        if packed.Unpack(message):
            return message
    return None


def reason(error):
    info = detail(error, "ErrorInfo")
    return info.reason if info else None


QUICK = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 50))


class Store:
    """Stubs of all five services; each call has a deadline of 10 s unless told otherwise."""

    def __init__(self, cluster, timeout=10, options=QUICK):
        self.timeout = timeout
        self.channels = {}
        for service in cluster.processes:
            self.channels[service] = grpc.insecure_channel(cluster.address(service), options=options)
        self.product = product_pb2_grpc.ProductServiceStub(self.channels["product"])
        self.order = order_pb2_grpc.OrderServiceStub(self.channels["order"])
        self.payment = payment_pb2_grpc.PaymentServiceStub(self.channels["payment"])
        self.delivery = delivery_pb2_grpc.DeliveryServiceStub(self.channels["delivery"])
        self.dashboard = customercenter_pb2_grpc.DashboardServiceStub(self.channels["customercenter"])
        self.codes = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for channel in self.channels.values():
            channel.close()

    # ---- product
    def register(self, code=None, size="S", price=50000, stock=100, name="Shirt", request_id=None):
        request = Product.RegisterProductRequest(
            request_id=request_id or new_id(), code=code or f"article-{new_id()}", name=name, size=size,
            unit_price_krw=price, stock=stock)
        return self.product.RegisterProduct(request, timeout=self.timeout).product

    def get_product(self, product):
        request = Product.GetProductRequest(product_id=product.product_id)
        return self.product.GetProduct(request, timeout=self.timeout).product

    def stock(self, product):
        return self.get_product(product).stock

    # ---- order
    def place(self, product, quantity=1, customer="customer-1", request_id=None, expected=None, timeout=None):
        request = Order.PlaceOrderRequest(
            request_id=request_id or new_id(), customer_id=customer, product_code=product.code,
            size=product.size, quantity=quantity, expected_total_krw=expected)
        return self.order.PlaceOrder(request, timeout=timeout or self.timeout)

    def pay(self, order_id):
        return self.order.PayOrder(Order.PayOrderRequest(order_id=order_id), timeout=self.timeout)

    def cancel(self, order_id):
        return self.order.CancelOrder(Order.CancelOrderRequest(order_id=order_id), timeout=self.timeout).order

    def get_order(self, order_id):
        return self.order.GetOrder(Order.GetOrderRequest(order_id=order_id), timeout=self.timeout).order

    # ---- the others, by order id
    def get_payment(self, order_id):
        request = Payment.GetPaymentRequest(order_id=order_id)
        return self.payment.GetPayment(request, timeout=self.timeout).payment

    def get_delivery(self, order_id):
        request = Delivery.GetDeliveryRequest(order_id=order_id)
        return self.delivery.GetDelivery(request, timeout=self.timeout).delivery

    def cancel_delivery(self, order_id):
        request = Delivery.CancelDeliveryRequest(order_id=order_id)
        return self.delivery.CancelDelivery(request, timeout=self.timeout).delivery

    def get_dashboard(self, order_id):
        request = Dashboard.GetDashboardRequest(order_id=order_id)
        return self.dashboard.GetDashboard(request, timeout=self.timeout).dashboard

    def pages(self, call, request, field):
        """All elements of a paged list."""
        found = []
        while True:
            answer = call(request, timeout=self.timeout)
            found += getattr(answer, field)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    def all_orders(self, customer=""):
        return self.pages(self.order.ListOrders, Order.ListOrdersRequest(page_size=200, customer_id=customer),
                          "orders")

    def all_deliveries(self):
        return self.pages(self.delivery.ListDeliveries, Delivery.ListDeliveriesRequest(page_size=200), "deliveries")

    def some_deliveries(self, n):
        return self.delivery.ListDeliveries(Delivery.ListDeliveriesRequest(page_size=n), timeout=self.timeout).deliveries

    def all_dashboards(self, customer=""):
        return self.pages(self.dashboard.ListDashboards,
                          Dashboard.ListDashboardsRequest(page_size=200, customer_id=customer), "dashboards")
