-- SPDX-License-Identifier: Apache-2.0
-- No row comes back when the order has a payment already.
insert into payments (payment_id, order_id, status, amount_krw)
values ($1, $2, $3, $4)
on conflict (order_id) do nothing
returning payment_id, order_id, status, amount_krw, version, created_at, updated_at;
