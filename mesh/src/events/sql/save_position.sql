-- SPDX-License-Identifier: Apache-2.0
-- What the relay has published, beside what tells this broker and this database from others.
insert into relay_position
       (done, server_id, stream_created, last_sequence, last_event_id, system_identifier)
select $1::pg_snapshot, $2, $3, $4, $5, system_identifier
  from pg_control_system()
