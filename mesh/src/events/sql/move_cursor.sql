-- SPDX-License-Identifier: Apache-2.0
-- Moves a cursor past events that nobody here is interested in, unless somebody else moved it.
update cursor
   set sequence = $5, event_id = $6, broker_time = $7, stream_created = $8
 where partition = $1 and source = $2
   and sequence = $3 and stream_created is not distinct from $4
