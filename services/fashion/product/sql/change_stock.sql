-- SPDX-License-Identifier: Apache-2.0
-- Of articles that are locked already; each at most once.
update products
   set stock = products.stock + changed.quantity, version = version + 1, updated_at = now()
  from unnest($1::uuid[], $2::bigint[]) as changed (product_id, quantity)
 where products.product_id = changed.product_id
returning products.product_id, products.stock;
