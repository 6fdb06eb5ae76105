-- SPDX-License-Identifier: Apache-2.0
-- No row changed: the id was used before. Waits for a concurrent transaction that is using it.
insert into request_log (request_id, digest)
values ($1, $2)
    on conflict (request_id) do nothing;
