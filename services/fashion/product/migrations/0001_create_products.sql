-- SPDX-License-Identifier: Apache-2.0
-- The catalogue; the stock of an article is in its row, and the row is never deleted.
create table products (
    product_id     uuid primary key,
    request_id     uuid not null unique,
    digest         bytea not null,
    code           text not null,
    size           text not null,
    name           text not null,
    unit_price_krw bigint not null check (unit_price_krw > 0),
    stock          bigint not null check (stock >= 0),
    version        bigint not null default 1,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    unique (code, size)
) with (fillfactor = 70);
