-- SPDX-License-Identifier: Apache-2.0
-- What the relay has published, and of which broker it knows that; then whether it was another
-- database that knew it, or this one at a time that is yet to come: it was restored.
select done::text, last_sequence, last_event_id, server_id, stream_created, rescue,
       relay_position.system_identifier <> here.system_identifier
       or pg_snapshot_xmax(done) > pg_snapshot_xmax(pg_current_snapshot()),
       saved_at
  from relay_position, pg_control_system() as here
 order by id desc
 limit 1
