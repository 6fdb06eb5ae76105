-- SPDX-License-Identifier: Apache-2.0
-- No row comes back when the product is unknown, its version is another one, or the stock would
-- become negative.
update products
   set name = coalesce($2, name),
       unit_price_krw = coalesce($3, unit_price_krw),
       stock = stock + $4,
       version = version + 1,
       updated_at = now()
 where product_id = $1 and stock + $4 >= 0 and ($5::text is null or version::text = $5)
returning product_id, code, size, name, unit_price_krw, stock, version, created_at, updated_at;
