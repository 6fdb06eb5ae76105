-- SPDX-License-Identifier: Apache-2.0
-- Reads all of the rest of $1.
select check_promise($1)::text
