-- SPDX-License-Identifier: Apache-2.0
-- Advisory locks are per database, so the key holds the schema.
select pg_advisory_lock(hashtextextended('cmesh migrate ' || current_schema(), 0));
