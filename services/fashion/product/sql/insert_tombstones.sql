-- SPDX-License-Identifier: Apache-2.0
-- For orders that took nothing so far, and never will.
insert into reservations (order_id, state)
select distinct order_id, 3
  from unnest($1::uuid[]) as over (order_id)
 order by order_id
on conflict do nothing;
