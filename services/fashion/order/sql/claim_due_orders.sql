-- SPDX-License-Identifier: Apache-2.0
-- Takes up to $1 due orders for this replica, those that are due longest first, and puts off their
-- next try: each time twice as long, but not beyond the end of the pay window. Materialized, because
-- a plan that ran the limit more than once would take more.
with due as materialized (
    select order_id, next_try_at as due_at
      from orders
     where status in (1, 2) and next_try_at <= now()
     order by next_try_at
     limit $1
       for update skip locked
), claimed as (
    update orders
       set tries = tries + 1,
           next_try_at = least(now() + least(60000, $2::bigint * 2 ^ least(tries, 10)) * interval '1 millisecond',
                               case when pay_before > now() then pay_before end)
      from due
     where orders.order_id = due.order_id
    returning orders.*, due_at
)
select order_id, request_id, digest, customer_id, product_code, size, quantity, status, total_krw,
       payment_asked, payment_id, reject_reason, pay_before, version, created_at, updated_at, tries,
       pay_before <= now() as too_late
  from claimed
 order by due_at;
