-- SPDX-License-Identifier: Apache-2.0
-- A row with the article for each of the orders that has no reservation yet; the article is locked. None
-- if there is no such article.
select asked.number, asked.order_id, products.product_id, products.unit_price_krw, products.stock
  from products
 cross join unnest($3::uuid[]) with ordinality as asked (order_id, number)
 where products.code = $1 and products.size = $2
   and not exists (select from reservations where reservations.order_id = asked.order_id)
 order by asked.number
   for update of products;
