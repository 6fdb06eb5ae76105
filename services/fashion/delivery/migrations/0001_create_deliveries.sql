-- SPDX-License-Identifier: Apache-2.0
-- One delivery per order; rows are never deleted. status holds the numbers of
-- fashion.delivery.v1.DeliveryStatus: 1 STARTED, 2 CANCELLED. A row that was CANCELLED before the
-- delivery started keeps a late OrderPlaced from starting it.
create table deliveries (
    delivery_id  uuid primary key,
    order_id     uuid not null unique,
    status       smallint not null check (status between 1 and 2),
    product_code text not null,
    size         text not null,
    quantity     bigint not null check (quantity > 0),
    environment  text not null,
    version      bigint not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
) with (fillfactor = 70);
