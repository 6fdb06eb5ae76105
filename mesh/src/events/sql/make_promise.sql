-- SPDX-License-Identifier: Apache-2.0
-- Two slices of $2 milliseconds are always ahead: what are missing begin then, if a promise is needed.
select make_promise($1, $2::bigint * interval '1 ms', now() + 2 * $2::bigint * interval '1 ms')
