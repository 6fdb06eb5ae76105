-- SPDX-License-Identifier: Apache-2.0
-- No row comes back when the order has a delivery already.
insert into deliveries (delivery_id, order_id, status, product_code, size, quantity, environment)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (order_id) do nothing
returning delivery_id, order_id, status, product_code, size, quantity, environment, version, created_at,
          updated_at;
