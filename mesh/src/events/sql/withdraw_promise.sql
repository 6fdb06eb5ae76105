-- SPDX-License-Identifier: Apache-2.0
-- If there is one, on the rest of $1.
select withdraw_promise($1)::text
