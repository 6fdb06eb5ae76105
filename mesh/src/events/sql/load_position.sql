-- SPDX-License-Identifier: Apache-2.0
-- What the relay has published.
select done::text, last_sequence, last_event_id
  from relay_position
 order by id desc
 limit 1
