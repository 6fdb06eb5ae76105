-- SPDX-License-Identifier: Apache-2.0
-- The intent. No row comes back when the request id is known already.
insert into orders (order_id, request_id, digest, customer_id, product_code, size, quantity, status,
                    next_try_at)
values ($1, $2, $3, $4, $5, $6, $7, 1, now() + $8::bigint * interval '1 millisecond')
on conflict (request_id) do nothing
returning version, created_at, updated_at;
