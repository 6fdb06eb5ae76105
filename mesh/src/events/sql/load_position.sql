-- SPDX-License-Identifier: Apache-2.0
-- What the relay has published, and of which broker it knows that.
select done::text, last_sequence, last_event_id, server_id, stream_created, rescue
  from relay_position
 order by id desc
 limit 1
