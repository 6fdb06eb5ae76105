-- SPDX-License-Identifier: Apache-2.0
select order_id, product_id, code, size, quantity, expected_total_krw, unit_price_krw, total_krw, state,
       reason
  from reservations
 where order_id = any($1::uuid[])
 order by order_id;
