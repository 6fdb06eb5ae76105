-- SPDX-License-Identifier: Apache-2.0
-- Who holds what; null is a lease that nobody who lives holds. Without a name: a replica that lives.
-- With the name of a group: one that cannot do its work.
select lease.name, replica.id
  from lease
  left join replica on replica.id = lease.holder
 union all
select null, id
  from replica
 union all
select unnest(unable), id
  from replica;
