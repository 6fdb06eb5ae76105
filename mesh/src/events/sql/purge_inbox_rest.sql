-- SPDX-License-Identifier: Apache-2.0
-- Deletes what came into the rest more than $1 milliseconds ago, up to $2 rows; returns how many.
with old as (
    select ctid from inbox_rest
     where received_at < now() - $1::bigint * interval '1 ms'
     order by received_at limit $2
), gone as (
    delete from inbox_rest where ctid = any (array(select ctid from old)) returning 1
)
select count(*) from gone
