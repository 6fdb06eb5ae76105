-- SPDX-License-Identifier: Apache-2.0
-- An event to be published; its transaction id comes from the column's default.
insert into outbox (event_id, subject, key, envelope)
values ($1, $2, $3, $4)
