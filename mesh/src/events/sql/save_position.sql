-- SPDX-License-Identifier: Apache-2.0
-- What the relay has published, beside what tells this broker and this database from others. No
-- row: replica $7 does not hold the relay any more, or another one has found more to be lost; and
-- while this is not committed nobody takes it.
insert into relay_position
       (done, server_id, stream_created, last_sequence, last_event_id, rescue, system_identifier)
select $1::pg_snapshot, $2, $3, $4, $5, $6, system_identifier
  from pg_control_system()
 where ($7::text is null
        or exists (select from lease where name = 'relay/0' and holder = $7 for share))
   and not exists (select from relay_position where rescue > $6)
returning id
