-- SPDX-License-Identifier: Apache-2.0
-- OrderPlaced and OrderPaymentPending. What was ordered never changes, so a late event may bring it too.
insert into dashboard_orders (order_id, customer_id, product_code, size, quantity, total_krw, status,
                              version, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (order_id) do update
   set customer_id = excluded.customer_id,
       product_code = excluded.product_code,
       size = excluded.size,
       quantity = excluded.quantity,
       total_krw = excluded.total_krw,
       status = case when excluded.version > dashboard_orders.version then excluded.status
                     else dashboard_orders.status end,
       version = greatest(excluded.version, dashboard_orders.version),
       updated_at = greatest(excluded.updated_at, dashboard_orders.updated_at),
       changed_xid = pg_current_xact_id()
 where excluded.version > dashboard_orders.version or dashboard_orders.customer_id is null;
