-- SPDX-License-Identifier: Apache-2.0
update products
   set stock = stock + $2, version = version + 1, updated_at = now()
 where product_id = $1
returning stock;
