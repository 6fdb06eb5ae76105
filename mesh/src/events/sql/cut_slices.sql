-- SPDX-License-Identifier: Apache-2.0
-- Two slices of $2 milliseconds are always ahead.
select cut_slices($1, $2::bigint * interval '1 ms', now() + 2 * $2::bigint * interval '1 ms')::bigint
