-- SPDX-License-Identifier: Apache-2.0
-- Nothing was taken for this order so far, and nothing will be.
insert into payments (payment_id, order_id, status, amount_krw)
values ($1, $2, 3, 0)
on conflict (order_id) do nothing;
