-- SPDX-License-Identifier: Apache-2.0
insert into greetings (greeting_id, name) values ($1, $2) on conflict do nothing
