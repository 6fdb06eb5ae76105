-- SPDX-License-Identifier: Apache-2.0
insert into dashboard_deliveries (order_id, delivery_id, status, version, updated_at)
values ($1, $2, $3, $4, $5)
on conflict (order_id) do update
   set delivery_id = excluded.delivery_id,
       status = excluded.status,
       version = excluded.version,
       updated_at = greatest(excluded.updated_at, dashboard_deliveries.updated_at),
       changed_xid = pg_current_xact_id()
 where excluded.version > dashboard_deliveries.version;
