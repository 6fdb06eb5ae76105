-- SPDX-License-Identifier: Apache-2.0
-- No row comes back when the request id, or the code with the size, is known already.
insert into products (product_id, request_id, digest, code, size, name, unit_price_krw, stock)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
returning product_id, code, size, name, unit_price_krw, stock, version, created_at, updated_at;
