-- SPDX-License-Identifier: Apache-2.0
-- One page of a pass: the rows that snapshot $1 did not see changed and snapshot $2, the pass, did (null:
-- a new pass begins now), after the change ($3, $4), of customer $5 and order $6 (null: of all). Always at
-- least one row, perhaps without a dashboard; its first columns are the pass, the last change of the page
-- (null: none) and whether another page follows.
with pass as materialized (
    select coalesce($2::pg_snapshot, pg_current_snapshot()) as snapshot
), page as materialized (
    select changed_xid, order_id
      from ((select changed_xid, order_id
               from dashboard_changes
              where changed_xid = any (array(select pg_snapshot_xip($1::pg_snapshot)))
                and (changed_xid > $3::xid8 or (changed_xid = $3::xid8 and order_id > $4::uuid))
              order by changed_xid, order_id
              limit 200)
            union all
            (select changed_xid, order_id
               from dashboard_changes
              where changed_xid >= greatest(pg_snapshot_xmax($1::pg_snapshot), $3::xid8)
                and changed_xid < pg_snapshot_xmax((select snapshot from pass))
                and pg_visible_in_snapshot(changed_xid, (select snapshot from pass))
                and (changed_xid > $3::xid8 or order_id > $4::uuid)
              order by changed_xid, order_id
              limit 200)) changes
     order by changed_xid, order_id
     limit 200
), last as (
    select changed_xid, order_id
      from page
     order by changed_xid desc, order_id desc
     limit 1
)
select pass.snapshot::text, last.changed_xid::text, last.order_id,
       (select count(*) from page) = 200 as more,
       shown.*
  from pass
  left join last on true
  left join (select distinct order_id from page) changed on true
  left join lateral (select order_id, customer_id, product_code, size, quantity, total_krw, order_status,
                            reject_reason, payment_status, payment_id, delivery_status, delivery_id,
                            updated_at
                       from dashboards
                      where dashboards.order_id = changed.order_id
                      limit 1) shown -- one look-up by key for each, whatever the statistics say
    on ($5::text is null or shown.customer_id = $5)
   and ($6::uuid is null or shown.order_id = $6);
