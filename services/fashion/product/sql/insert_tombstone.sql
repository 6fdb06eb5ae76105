-- SPDX-License-Identifier: Apache-2.0
-- Nothing was taken for this order so far, and nothing will be.
insert into reservations (order_id, state)
values ($1, 3)
on conflict do nothing;
