-- SPDX-License-Identifier: Apache-2.0
-- What orders took: one row per order, whatever became of it. It fixes the price. state is 1 RESERVED,
-- 2 REFUSED (reason tells why) or 3 RELEASED; a row that was RELEASED before anything was taken has
-- nothing but its id and keeps a late ReserveStock from taking stock. Rows are never deleted.
create table reservations (
    order_id           uuid primary key,
    product_id         uuid, -- no foreign key: its lock on the hot row would cost more than it finds
    code               text not null default '',
    size               text not null default '',
    quantity           bigint not null default 0,
    expected_total_krw bigint, -- as asked; null: any
    unit_price_krw     bigint not null default 0,
    total_krw          bigint not null default 0,
    state              smallint not null check (state between 1 and 3),
    reason             text not null default '',
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    check (state = 3 or (product_id is not null and quantity > 0 and total_krw > 0))
) with (fillfactor = 70);
