-- SPDX-License-Identifier: Apache-2.0
-- Deletes published events of the rest that are older than $1 milliseconds, up to $2; returns how
-- many.
with old as (
    select ctid from outbox_rest
     where created_at < now() - $1::bigint * interval '1 ms'
       and pg_visible_in_snapshot(xid, (select done from relay_position order by id desc limit 1))
     order by created_at limit $2
), gone as (
    delete from outbox_rest where ctid = any (array(select ctid from old)) returning 1
)
select count(*) from gone
