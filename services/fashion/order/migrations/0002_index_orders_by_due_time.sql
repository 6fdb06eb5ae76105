-- SPDX-License-Identifier: Apache-2.0
-- Without the status: an order that moves on from PLACED is then updated in place, and not in every
-- index. Only orders that are RECEIVED or PAYMENT_PENDING are ever due.
drop index orders_due;
create index orders_due on orders (next_try_at) where next_try_at is not null;
