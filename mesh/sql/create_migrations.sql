-- SPDX-License-Identifier: Apache-2.0
-- owner is mesh for the runtime's own migrations and service for those of the service.
create table if not exists migration (
    owner           text not null,
    number          int not null,
    name            text not null,
    checksum        text not null,
    compatible_from int not null,
    applied_at      timestamptz not null default now(),
    primary key (owner, number)
);
