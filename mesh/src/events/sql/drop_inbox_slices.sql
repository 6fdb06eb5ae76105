-- SPDX-License-Identifier: Apache-2.0
-- What is older than $1 milliseconds.
select drop_inbox_slices(now() - $1::bigint * interval '1 ms')::bigint
