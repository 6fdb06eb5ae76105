-- SPDX-License-Identifier: Apache-2.0
-- The articles that orders hold stock of, in the order in which everybody locks them.
select product_id
  from products
 where product_id in (select product_id from reservations where order_id = any($1::uuid[]) and state = 1)
 order by product_id
   for update;
