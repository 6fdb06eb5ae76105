-- SPDX-License-Identifier: Apache-2.0
-- OrderRejected and OrderCancelled.
insert into dashboard_orders (order_id, status, reject_reason, version, updated_at)
values ($1, $2, $3, $4, $5)
on conflict (order_id) do update
   set status = excluded.status,
       reject_reason = excluded.reject_reason,
       version = excluded.version,
       updated_at = greatest(excluded.updated_at, dashboard_orders.updated_at),
       changed_xid = pg_current_xact_id()
 where excluded.version > dashboard_orders.version;
