-- SPDX-License-Identifier: Apache-2.0
select payment_id, order_id, status, amount_krw, version, created_at, updated_at
  from payments
 where order_id = $1
   for update;
