# SPDX-License-Identifier: Apache-2.0
"""Customers who ask once and take down what they were told, so that no call fails unseen."""
import collections

import grpc

from load import Load
from store import Order, PLACED, SHIPPED, Store, new_id

VISITS = 10  # over one connection; then a new one, which may lead to another pod
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


class Strict(Load):
    """It calls every service. What does not come off is not repeated."""

    def __init__(self, shop, products, threads=8):
        self.said = collections.Counter()
        super().__init__(shop, products, cancels=False, threads=threads)

    def follow(self, shop, products):
        while not self.over.is_set():
            with Store(shop, timeout=5, options=OWN_CONNECTION) as store:
                for _ in range(VISITS):
                    self.shop(store, products, next(self.numbers))
                    if self.over.wait(self.pause):
                        return

    def shop(self, store, products, number):
        product, customer = products[number % len(products)], f"{self.name}-{number}"
        order_id = self.ask("PlaceOrder", lambda: self.known.place(store, product, 1 + number % 3, customer, new_id()))
        if order_id:
            status = self.known.answers[order_id]
            if status in (PLACED, SHIPPED):
                self.ask("GetPayment", lambda: store.get_payment(order_id))
            else:
                self.said[f"PlaceOrder: {Order.OrderStatus.Name(status)}"] += 1
        self.ask("GetProduct", lambda: store.get_product(product))
        self.ask("ListDeliveries", lambda: store.some_deliveries(1))
        self.ask("ListDashboards", lambda: store.all_dashboards(customer))

    def ask(self, what, call):
        try:
            answer = call()
        except grpc.RpcError as e:
            self.said[f"{what}: {e.code().name}: {e.details()}"] += 1
            return None
        self.said["OK"] += 1
        return answer

    @property
    def failures(self):
        """What was said beside OK, and how often."""
        return {what: n for what, n in self.said.items() if what != "OK"}

    def report(self):
        return f"{sum(self.failures.values())} of {sum(self.said.values())} calls failed, {self.placed} orders"
