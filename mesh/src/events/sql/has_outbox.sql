-- SPDX-License-Identifier: Apache-2.0
-- Whether any event is kept.
select exists (select from outbox)
