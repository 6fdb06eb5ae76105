-- SPDX-License-Identifier: Apache-2.0
-- A share that was never read.
insert into cursor (partition, source, sequence)
values ($1, $2, 0)
on conflict do nothing
