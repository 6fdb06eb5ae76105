-- SPDX-License-Identifier: Apache-2.0
-- Two slices of $2 milliseconds are always ahead. $3 is from when on they are promised; or null.
select cut_slices($1, $2::bigint * interval '1 ms', now() + 2 * $2::bigint * interval '1 ms', $3)::bigint
