-- SPDX-License-Identifier: Apache-2.0
-- The first statement of a batch: moves the cursor unless somebody else moved it, then tells which
-- of the events are new. A null row: the cursor was moved; no row at all: it was not.
with moved as (
    update cursor
       set sequence = $5, event_id = $6, broker_time = $7, stream_created = $8,
           attempts = 0, attempt_event = null
     where partition = $1 and source = $2
       and sequence = $3 and stream_created is not distinct from $4
    returning 1
), fresh as (
    insert into inbox (event_id, source)
    select id, $2
      from unnest($9::uuid[]) as id
     where exists (select from moved)
    on conflict do nothing
    returning event_id
)
select null::uuid from moved
union all
select event_id from fresh
