-- SPDX-License-Identifier: Apache-2.0
insert into dead_letter
       (partition, source, sequence, event_id, key, subject, envelope, status, reason, attempts)
values ($1, $2, $3, $4, $5, $6, $7, case when $8 then 'redrive' else 'parked' end, $9, $10)
