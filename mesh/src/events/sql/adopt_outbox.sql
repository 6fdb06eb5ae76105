-- SPDX-License-Identifier: Apache-2.0
-- Rows whose transaction ids are of another database become new ones of this one.
update outbox
   set xid = pg_current_xact_id()
