-- SPDX-License-Identifier: Apache-2.0
-- The rest of a pass that was broken off: what its snapshot $2 saw, after row $3.
declare relay_pass no scroll cursor for
select id, event_id, subject, envelope, $2::text
  from outbox
 where (xid >= pg_snapshot_xmax($1::pg_snapshot)
        or xid = any (array (select pg_snapshot_xip($1::pg_snapshot))))
   and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
   and id > $3
 order by id
