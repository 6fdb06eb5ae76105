-- SPDX-License-Identifier: Apache-2.0
select delivery_id, order_id, status, product_code, size, quantity, environment, version, created_at,
       updated_at
  from deliveries
 where delivery_id < $1
 order by delivery_id desc
 limit $2;
