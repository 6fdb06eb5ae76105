-- SPDX-License-Identifier: Apache-2.0
-- Takes a lease that nobody who lives holds. A row says that it was had; true: the holder before
-- has not given it up.
insert into lease (name, holder)
values ($1, $2)
on conflict (name) do update
   set holder = excluded.holder
 where not exists (select from replica where replica.id = lease.holder)
returning xmax::text <> '0';
