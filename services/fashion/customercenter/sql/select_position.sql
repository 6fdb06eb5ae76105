-- SPDX-License-Identifier: Apache-2.0
select pg_current_snapshot()::text;
