-- SPDX-License-Identifier: Apache-2.0
-- What was decided about orders of one article, in the order in which everybody inserts them; -1
-- stands for an expected total that was not given. An order that was decided beside breaks the primary
-- key, which undoes the whole.
insert into reservations (order_id, product_id, code, size, unit_price_krw, quantity, total_krw,
                          expected_total_krw, state, reason)
select order_id, $1, $2, $3, $4, quantity, $4 * quantity, nullif(expected_total_krw, -1),
       case when reason = '' then 1 else 2 end, reason
  from unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::text[])
       as decided (order_id, quantity, expected_total_krw, reason)
 order by order_id;
