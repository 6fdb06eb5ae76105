-- SPDX-License-Identifier: Apache-2.0
-- A row if the event is new.
insert into inbox (event_id, source)
values ($1, $2)
on conflict do nothing
returning 1
