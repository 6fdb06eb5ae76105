-- SPDX-License-Identifier: Apache-2.0
select product_id, code, size, name, unit_price_krw, stock, version, created_at, updated_at
  from products
 where product_id = $1;
