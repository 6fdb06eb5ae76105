-- SPDX-License-Identifier: Apache-2.0
select delivery_id, order_id, status, product_code, size, quantity, environment, version, created_at,
       updated_at
  from deliveries
 where order_id = $1;
