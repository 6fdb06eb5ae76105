-- SPDX-License-Identifier: Apache-2.0
select order_id, customer_id, product_code, size, quantity, total_krw, order_status, reject_reason,
       payment_status, payment_id, delivery_status, delivery_id, updated_at
  from dashboards
 where order_id < $1
 order by order_id desc
 limit $2;
