-- SPDX-License-Identifier: Apache-2.0
create table greetings (greeting_id uuid primary key, name text not null);
