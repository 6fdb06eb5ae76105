-- SPDX-License-Identifier: Apache-2.0
-- Whether there are rows of transactions that are yet to come: they would be new in every pass.
select exists (select from outbox where xid >= pg_snapshot_xmax(pg_current_snapshot()))
