-- SPDX-License-Identifier: Apache-2.0
-- How far a share has been read.
select sequence, event_id, broker_time, stream_created
  from cursor
 where partition = $1 and source = $2
