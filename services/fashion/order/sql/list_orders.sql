-- SPDX-License-Identifier: Apache-2.0
select order_id, request_id, digest, customer_id, product_code, size, quantity, status, total_krw,
       payment_asked, payment_id, reject_reason, pay_before, version, created_at, updated_at, tries,
       pay_before <= now() as too_late
  from orders
 where order_id < $1
 order by order_id desc
 limit $2;
